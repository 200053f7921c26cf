// Package appjson reads app.json, where the owner of an app says in the repository how it is run:
// formation, health checks, commands around a deploy, and what runs by the clock. It knows the
// format, which is Heroku's (https://devcenter.heroku.com/articles/app-json-schema) with Dokku's
// additions (https://dokku.com/docs/appendices/file-formats/app-json/), and nothing of what is done
// with it. Comments and trailing commas are accepted; what it does not know is left alone, since
// the format is shared with other systems.
package appjson
