// Package cron knows what the owner of an app wants run by the clock: which lines of a Procfile and
// which entries of an app.json say so, when they are due, and what is to be done while the last run
// goes on. It knows neither processes nor the volume, and asks nobody for the time.
//
// # Schedules
//
// Five fields as in crontab(5): minute, hour, day of the month, month, day of the week; or @hourly,
// @daily, @midnight, @weekly, @monthly, @yearly, @annually. Not seconds: a process is no timer. Where both
// days are restricted, either will do.
//
// # Clocks that are put forward and back
//
// As cron(8) has it on Debian. An entry whose hours begin with * goes by the time that passes: it is due
// whenever the clock reads so, twice where an hour comes twice, and not where it is left out. Any other
// is due once: at the moment of the change where its time is left out, and the first time where its
// time comes twice.
package cron
