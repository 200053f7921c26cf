// Package cron has the rules for scheduled commands: which lines of a Procfile and entries of an
// app.json are scheduled, when they are due, and what to do if the last run has not ended. It knows
// neither processes nor the volume, and reads no clock.
//
// # Schedules
//
// A schedule has five fields as in crontab(5): minute, hour, day of the month, month, day of the
// week. Or it is @hourly, @daily, @midnight, @weekly, @monthly, @yearly or @annually. There are no
// seconds. If both days are restricted, either may match.
//
// # Clock changes
//
// They work as with cron(8) on Debian. An entry whose hour field begins with * runs by elapsed
// time: whenever the clock shows a matching time, so twice if an hour is repeated, and not if it is
// skipped. Any other entry runs once: at the moment of the change if its time is skipped, and at
// the first occurrence if its time is repeated.
package cron
