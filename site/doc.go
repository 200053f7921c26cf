// Package site serves a folder of static files over HTTP, as a web server of its own would: content
// types, ranges, ETags, compression, /page for page.html, a 404 of the site's own. It knows neither
// apps nor releases, and has no settings: what there is to say is said with files.
package site
