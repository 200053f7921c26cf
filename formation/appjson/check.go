package appjson

import (
	"paas/runtime/health"
)

func (r *reader) checks(v value) (checks map[string][]health.Check) {
	for name, v := range r.object(v, `an object such as {"web": [{"path": "/health"}]}`).all() {
		for _, v := range r.list(v, `a list such as [{"path": "/health"}]`) {
			c := r.check(v)
			if checks == nil {
				checks = map[string][]health.Check{}
			}
			checks[name] = append(checks[name], c)
		}
	}
	return checks
}

// check reads one check. It ignores the field listening, which is for other systems: a web process
// must listen anyway.
func (r *reader) check(v value) health.Check {
	o := r.object(v, `an object such as {"path": "/health"}`)
	c := health.Check{
		Type: health.Type(r.text(o.field("type"))), Name: r.text(o.field("name")),
		Path: r.text(o.field("path")), Content: r.text(o.field("content")),
		Delay: r.seconds(o.field("initialDelay")), Timeout: r.seconds(o.field("timeout")),
		Wait: r.seconds(o.field("wait")), Uptime: r.seconds(o.field("uptime")),
	}
	for _, word := range r.list(o.field("command"),
		`a list of strings such as ["./check", "--fast"]`) {
		c.Command = append(c.Command, r.text(word))
	}
	if port := r.whole(o.field("port"), "a whole number from 1 to 65535"); port != nil {
		c.Port = *port
	}
	if attempts := r.whole(o.field("attempts"), "a whole number"); attempts != nil {
		c.Attempts = *attempts
	}
	r.flag(o.field("listening"))
	if scheme := r.text(o.field("scheme")); scheme != "" && scheme != "http" {
		r.wrong(o.field("scheme"), `"http", because TLS ends at the front door`)
	}
	for _, v := range r.list(o.field("httpHeaders"),
		`a list such as [{"name": "Host", "value": "example.com"}]`) {
		header := r.object(v, `an object such as {"name": "Host", "value": "example.com"}`)
		if c.Headers == nil {
			c.Headers = map[string]string{}
		}
		c.Headers[r.text(header.field("name"))] = r.text(header.field("value"))
	}
	if err := c.Validate(); err != nil {
		r.fail(v, err.Error())
	}
	return c
}
