// Package appjson parses app.json, in which a repository sets formation, health checks, commands
// around a deploy, and scheduled commands. The format is Heroku's
// (https://devcenter.heroku.com/articles/app-json-schema) with Dokku's additions
// (https://dokku.com/docs/appendices/file-formats/app-json/), and the key "storage", which is this
// server's own. Comments and trailing commas are
// allowed. Unknown fields are ignored, because other systems use the format too. The package does
// not know what is done with the values.
package appjson
