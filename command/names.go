package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"paas/volume"
)

// optionalApp is the input of a verb that is about one app, or about all.
type optionalApp struct {
	App string `json:"app,omitempty" arg:"[APP]"`
}

// Domain is a name that an app answers at.
type Domain struct {
	Name     string `json:"name"`              // in ASCII
	Unicode  string `json:"unicode,omitempty"` // as people write it, if that is different
	App      string `json:"app"`
	Default  bool   `json:"default,omitempty"`  // each app has such a name by itself
	Redirect string `json:"redirect,omitempty"` // where visitors are sent to
	HTTPS    bool   `json:"https"`              // there is a valid certificate
}

func (d Domain) readable() string {
	if d.Unicode != "" {
		return d.Unicode + " (" + d.Name + ")"
	}
	return d.Name
}

func (d Domain) state() string {
	if d.HTTPS {
		return "yes"
	}
	return "no"
}

// eachApp calls do with the app of that name, or with all that the caller may see if it is empty.
func (c *Call) eachApp(name string, do func(volume.App) error) error {
	names := []string{name}
	if name == "" {
		var err error
		if names, err = c.apps(); err != nil {
			return err
		}
	}
	for _, each := range names {
		app, err := c.App(each)
		if err == nil {
			err = do(app)
		}
		if err != nil && !(errors.Is(err, volume.ErrNoApp) && name == "") { // destroyed since
			return err
		}
	}
	return nil
}

// domains are the names that the app answers at, the default one first.
func (c *Call) domains(app volume.App) ([]Domain, error) {
	w, err := app.Wanted()
	if err != nil {
		return nil, err
	}
	all := []Domain{{Name: c.defaultHost(app), Default: true}}
	for _, name := range w.Names.Domains {
		all = append(all, Domain{Name: name})
	}
	for i := range all {
		d := &all[i]
		d.App, d.Redirect = app.Name, w.Names.Redirects[d.Name]
		if text := unicodeName(d.Name); text != d.Name {
			d.Unicode = text
		}
		if cert, ok := c.certificate(d.Name); ok {
			d.HTTPS = cert.Valid(time.Now())
		}
	}
	return all, nil
}

func (c *Call) defaultHost(app volume.App) string { return app.Name + "." + c.Domain() }

// certificate is the state of a name's certificate; ok is false if nothing serves any.
func (c *Call) certificate(name string) (volume.Certificate, bool) {
	if !c.serving() {
		return volume.Certificate{}, false
	}
	return c.Volume.Certificate(name)
}

func unicodeName(name string) string {
	if text, err := idna.Display.ToUnicode(name); err == nil {
		return text
	}
	return name
}

// certificateWait is how long a person waits for certificates.
const certificateWait = 10 * time.Second

// asciiName returns a domain as a person writes it in ASCII.
func asciiName(text string) (string, error) {
	rest, wildcard := strings.CutPrefix(strings.TrimSuffix(text, "."), "*.")
	if strings.ContainsAny(rest, ":/@") {
		return "", fmt.Errorf("%q is not a domain; write only the name, such as www.example.com",
			plain(text))
	}
	name, err := idna.Lookup.ToASCII(rest)
	if err != nil {
		return "", fmt.Errorf("%q is not a domain such as www.example.com", plain(text))
	}
	if wildcard {
		name = "*." + name
	}
	return name, volume.CheckDomain(name)
}

// awaitCertificates waits until an attempt for each of the names has ended since then, but not
// longer than a person would, and tells how it went.
func (c *Call) awaitCertificates(
	name string, domains []string, since time.Time, p progress,
) error {
	app, err := c.App(name)
	if err != nil {
		return err
	}
	switch {
	case !c.serving():
		p.answer(laterText)
		return nil
	case !c.HTTPS():
		p.answer("this server has no HTTPS: PAAS_HTTPS_ADDR=:443 turns it on")
		return nil
	}
	ctx, stop := context.WithTimeout(c, certificateWait)
	defer stop()
	waiting := domains
	err = app.Await(ctx, func() (bool, error) {
		waiting = slices.DeleteFunc(slices.Clone(waiting), func(d string) bool {
			cert, ok := c.certificate(d)
			return ok && (cert.Valid(time.Now()) || !cert.Trying && cert.Tried.After(since))
		})
		return len(waiting) == 0 || !app.Exists(), nil
	})
	if err != nil && c.Err() != nil {
		return err
	}
	for _, d := range domains {
		cert, _ := c.certificate(d)
		switch {
		case cert.Valid(time.Now()):
			p.detail("https://%s works; the certificate is from %s",
				unicodeName(d), certIssuer(cert))
		case cert.Error != "" && !slices.Contains(waiting, d):
			p.note("no certificate for %s yet: %s", unicodeName(d), plain(cert.Error))
		default:
			p.note("no certificate for %s yet; this goes on in the background", unicodeName(d))
		}
	}
	if len(waiting) > 0 || slices.ContainsFunc(domains, func(d string) bool {
		cert, _ := c.certificate(d)
		return !cert.Valid(time.Now())
	}) {
		p.answer("%s shows how it goes", c.how("domains:report", app.Name))
	}
	return nil
}

func certIssuer(cert volume.Certificate) string {
	if cert.Own {
		return "you"
	}
	return cert.Issuer
}

// printCertificate writes what is known of a name's certificate.
func printCertificate(t io.Writer, cert *volume.Certificate) {
	if cert == nil {
		fmt.Fprint(t, "certificate\tnone: this server has no HTTPS, or does not run\n")
		return
	}
	state := "none yet"
	switch now := time.Now(); {
	case cert.Valid(now):
		state = fmt.Sprintf("from %s, valid until %s", certIssuer(*cert), when(cert.NotAfter))
	case !cert.NotAfter.IsZero() && now.After(cert.NotAfter):
		state = "expired at " + when(cert.NotAfter)
	}
	if cert.ExpiresSoon(time.Now()) {
		state += "; certs:add brings the next one"
	}
	if cert.Trying {
		state += "; an authority works on it now"
	}
	fmt.Fprintf(t, "certificate\t%s\n", state)
	if cert.Error != "" {
		fmt.Fprintf(t, "last error\t%s: %s\n", when(cert.Tried), plain(cert.Error))
	}
	switch {
	case cert.Next.IsZero():
	case cert.Valid(time.Now()) && cert.Error == "" && !cert.Own:
		fmt.Fprintf(t, "renewal\t%s\n", when(cert.Next))
	default:
		fmt.Fprintf(t, "next attempt\t%s\n", when(cert.Next))
	}
}
