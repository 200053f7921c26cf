// Package site serves a folder of static files over HTTP like a web server: content types, ranges,
// ETags, compression, /page for page.html, the site's own 404 page, and 200.html for addresses that a
// program in the browser knows. It knows neither apps nor releases. It has no settings; files say
// everything.
package site
