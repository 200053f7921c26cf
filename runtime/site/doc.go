// Package site serves a folder of static files over HTTP. It knows neither apps nor releases.
package site
