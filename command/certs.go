package command

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"paas/access"
	"paas/certs/pair"
	"paas/volume"
)

func certRows() []Row {
	return []Row{
		Verb[optionalApp, []CertInfo]{
			Head: Head{
				Name: "certs", Group: Visitors, Needs: access.View,
				Example: "blog",
				Short:   "list the certificates of an app's names, or of all apps",
			},
			Run: listCerts,
			Text: func(p *Page, certs []CertInfo) {
				const heading = "NAME\tAPP\tFROM\tVALID UNTIL\tNEXT\tLAST ERROR"
				list(p, certs, heading, func(i CertInfo) string {
					from := "-"
					if !i.NotAfter.IsZero() {
						from = certIssuer(i.Certificate)
					}
					return strings.Join([]string{
						i.Name, i.App, from, when(i.NotAfter), when(i.Next), orNone(plain(i.Error)),
					}, "\t")
				})
			},
		},
		Stream[addCertInput, Progress]{
			Head: Head{
				Name: "certs:add", Group: Visitors, Needs: access.Operate,
				Example: "blog --cert cert.pem --key key.pem",
				Short:   "serve a certificate of your own for those of an app's names that it is for",
				More: "Without FILEs both are read from standard input, in PEM and in any order, with the\n" +
					"rest of the chain: cat cert.pem key.pem | ... certs:add blog. It replaces the app's\n" +
					"earlier one. When it expires, an authority is asked for others.",
			},
			Run:  addCert,
			Text: printProgress,
		},
		Stream[appInput, Progress]{
			Head: Head{
				Name: "certs:remove", Group: Visitors, Needs: access.Operate,
				Example: "blog",
				Short:   "serve your own certificate no longer, but those of an authority",
			},
			Run:  removeCert,
			Text: printProgress,
		},
		Stream[httpsInput, Progress]{
			Head: Head{
				Name: "https:set", Group: Visitors, Needs: access.Operate,
				Example: "blog redirect=off hsts=365d",
				Short: "set redirect=on|off, whether HTTP leads to HTTPS, " +
					"and hsts=TIME|off, what browsers remember",
			},
			Run:  setHTTPS,
			Text: printProgress,
		},
	}
}

// CertInfo is the certificate of a name.
type CertInfo struct {
	Name string `json:"name"`
	App  string `json:"app"`
	volume.Certificate
}

func listCerts(c *Call, in optionalApp) (all []CertInfo, err error) {
	err = c.eachApp(in.App, func(app volume.App) error {
		domains, err := c.domains(app)
		for _, d := range domains {
			if cert, ok := c.certificate(d.Name); ok {
				all = append(all, CertInfo{d.Name, app.Name, cert})
			}
		}
		return err
	})
	return all, err
}

type addCertInput struct {
	App  string `json:"app" arg:"APP"`
	Cert string `json:"cert" flag:"cert" value:"FILE" help:"the certificate and its chain, as PEM"`
	Key  string `json:"key" flag:"key" value:"FILE" help:"its private key, as PEM"`
}

func addCert(c *Call, in addCertInput, events Teller[Progress]) error {
	p := progress{events}
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	if !c.HTTPS() {
		return conflict("PAAS_HTTPS_ADDR=:443 turns it on", "this server has no HTTPS")
	}
	text, err := c.readPair(in)
	if err != nil {
		return err
	}
	cert, err := pair.Parse(text)
	if err == nil {
		err = pair.CheckTime(cert, time.Now())
	}
	if err != nil {
		return wrong("cert", "%w", err)
	}
	domains, err := c.domains(app)
	if err != nil {
		return err
	}
	var served, others []string
	for _, d := range domains {
		if cert.Leaf.VerifyHostname(strings.Replace(d.Name, "*", "any", 1)) == nil {
			served = append(served, d.Name)
		} else {
			others = append(others, d.Name)
		}
	}
	if len(served) == 0 {
		return &Fault{
			Kind: Usage, Field: "cert",
			Err: fmt.Errorf("the certificate is for %s, and %s does not answer there",
				plain(strings.Join(cert.Leaf.DNSNames, " ")), app.Name),
			Next: "first: " + c.how("domains:add", app.Name+" DOMAIN"),
		}
	}
	id, err := app.Identity()
	if err == nil {
		err = c.Certificates.Set(c, id, text)
	}
	if err != nil {
		return c.certsFault(err)
	}
	c.did(app.Name, strings.Join(served, " "))
	p.step("%s has your certificate at %s, valid until %s",
		app.Name, strings.Join(served, " "), when(cert.Leaf.NotAfter))
	if len(others) > 0 {
		p.detail("it is not for %s", strings.Join(others, " "))
	}
	return nil
}

// certsFault says what a role that does not answer means.
func (c *Call) certsFault(err error) error {
	if errors.Is(err, ErrNoKeeper) {
		return conflict(
			"start it: paas serve, or paas serve front; "+
				"docs/http.md says what a front on another machine needs",
			"the server is not running, or its front is away, "+
				"and only what serves visitors can keep the key",
		)
	}
	return err
}

// readPair reads the certificate and the key.
func (c *Call) readPair(in addCertInput) (text []byte, err error) {
	if in.Cert == "" && in.Key == "" {
		return readAll(c, c.Stdin)
	}
	if !c.Caller.IsLocal() {
		return nil, wrong("cert",
			"over SSH both come on standard input: cat CERT KEY | ... certs:add %s", in.App)
	}
	for _, f := range []struct{ flag, path string }{{"cert", in.Cert}, {"key", in.Key}} {
		if f.path == "" {
			continue // both may be in the other file
		}
		part, err := os.ReadFile(f.path)
		if err != nil {
			return nil, wrong(f.flag, "%s cannot be read: %w", f.path, errors.Unwrap(err))
		}
		text = append(append(text, part...), '\n')
	}
	return text, nil
}

func removeCert(c *Call, in appInput, events Teller[Progress]) error {
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	id, err := app.Identity()
	if err != nil {
		return err
	}
	removed, err := c.Certificates.Remove(c, id)
	switch {
	case err != nil:
		return c.certsFault(err)
	case !removed:
		return &Fault{Kind: NotFound, Err: fmt.Errorf("%s has no certificate of yours", app.Name)}
	}
	c.did(app.Name, "")
	progress{events}.step("your certificate of %s is removed; authorities give others", app.Name)
	return nil
}

type httpsInput struct {
	App      string            `json:"app" arg:"APP"`
	Settings map[string]string `json:"settings" arg:"KEY=VALUE..."`
}

func setHTTPS(c *Call, in httpsInput, events Teller[Progress]) error {
	var names volume.Names
	var note []string
	for key, value := range in.Settings {
		note = append(note, key+"="+value)
	}
	said := strings.Join(slices.Sorted(slices.Values(note)), " ")
	err := c.changeWanted(in.App, said, func(_ volume.App, w *volume.Wanted) error {
		for key, value := range in.Settings {
			switch {
			case key == "redirect" && (value == "on" || value == "off"):
				w.Names.NoRedirect = value == "off"
			case key == "redirect":
				return wrong("settings", "redirect is on or off, not %q", plain(value))
			case key == "hsts":
				age, err := parseAge(value)
				if value == "off" {
					age, err = 0, nil
				}
				if err != nil || age < 0 || age > maxHSTS || age%time.Second != 0 {
					return wrong("settings",
						"hsts is a time such as 1h or 365d, at most 730d, or off, not %q", plain(value))
				}
				w.Names.HSTS = age
			default:
				return wrong("settings", "no setting %q; there are redirect and hsts", plain(key))
			}
		}
		names = w.Names
		return nil
	})
	if err != nil {
		return err
	}
	p := progress{events}
	if names.NoRedirect {
		p.step("%s answers plain HTTP too", in.App)
	} else {
		p.step("%s sends visitors of plain HTTP to HTTPS, where there is a certificate", in.App)
	}
	if names.HSTS > 0 {
		p.detail("browsers remember for %s to use HTTPS only", sleepTime(names.HSTS))
	}
	return nil
}
