package command

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"paas/access"
	"paas/volume"
)

func domainRows() []Row {
	return []Row{
		Verb[optionalApp, []Domain]{
			Head: Head{
				Name: "domains", Group: Visitors, Needs: access.View,
				Example: "blog",
				Short:   "list the names that an app answers at, or all apps",
			},
			Run: listDomains,
			Text: func(p *Page, domains []Domain) {
				list(p, domains, "NAME\tAPP\tHTTPS\tREDIRECTS TO", func(d Domain) string {
					to := orNone(d.Redirect)
					return fmt.Sprintf("%s\t%s\t%s\t%s", d.readable(), d.App, d.state(), to)
				})
			},
		},
		Stream[domainsInput, Progress]{
			Head: Head{
				Name: "domains:add", Group: Visitors, Needs: access.Operate,
				Example: "blog www.example.com example.com",
				Short:   "let an app answer at more names, and get certificates for them",
				More: "Point the names at this server first, by DNS. *.example.com is each name directly\n" +
					"below example.com; another app gets names below it only from people who may operate\n" +
					"both. For names that the app has already, the certificates are tried\n" +
					"again at once.",
			},
			Run:  addDomains,
			Text: printProgress,
		},
		Stream[domainsInput, Progress]{
			Head: Head{
				Name: "domains:remove", Group: Visitors, Needs: access.Operate,
				Example: "blog www.example.com",
				Short:   "let an app answer at names no longer",
			},
			Run:  removeDomains,
			Text: printProgress,
		},
		Verb[appInput, []DomainReport]{
			Head: Head{
				Name: "domains:report", Group: Visitors, Needs: access.View,
				Example: "blog",
				Short:   "show what DNS says of an app's names, and how their certificates are",
			},
			Run:  reportDomains,
			Text: printDomainReports,
		},
	}
}

func listDomains(c *Call, in optionalApp) ([]Domain, error) {
	var all []Domain
	err := c.eachApp(in.App, func(app volume.App) error {
		domains, err := c.domains(app)
		all = append(all, domains...)
		return err
	})
	return all, err
}

type domainsInput struct {
	App     string   `json:"app" arg:"APP"`
	Domains []string `json:"domains" arg:"DOMAIN..."`
}

func addDomains(c *Call, in domainsInput, events Teller[Progress]) error {
	p := progress{events}
	names, err := c.readDomains(in.Domains)
	if err != nil {
		return err
	}
	var claimed []string
	since := time.Now()
	note := strings.Join(names, " ")
	err = c.changeWanted(in.App, note, func(app volume.App, w *volume.Wanted) error {
		for _, name := range names {
			if slices.Contains(w.Names.Domains, name) {
				continue
			}
			if len(w.Names.Domains) == maxDomains {
				return conflict("", "%s has %d domains; no app can have more", app.Name, maxDomains)
			}
			// One who operates both apps may give one of them a name below the other's wildcard.
			err := app.ClaimDomain(name, func(owner string) bool { return c.stillMay(owner) == nil })
			if err != nil {
				return errors.Join(c.domainTaken(err), release(app, claimed))
			}
			claimed = append(claimed, name)
			more := append(slices.Clone(w.Names.Domains), name)
			w.Names.Domains = slices.Sorted(slices.Values(more))
		}
		w.Names.Certify = rand.Text()
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.Contains(claimed, name) {
			p.step("%s answers at %s", in.App, unicodeName(name))
		} else {
			p.step("%s answers at %s already", in.App, unicodeName(name))
		}
	}
	return c.awaitCertificates(in.App, names, since, p)
}

// release ends claims on domains.
func release(app volume.App, names []string) error {
	var errs []error
	for _, name := range names {
		errs = append(errs, app.ReleaseDomain(name))
	}
	return errors.Join(errs...)
}

// readDomains returns names in ASCII. It fails if one cannot be added.
func (c *Call) readDomains(names []string) (read []string, err error) {
	for _, text := range names {
		name, err := asciiName(text)
		if err != nil {
			return nil, wrong("domains", "%w", err)
		}
		if c.isServers(name) {
			return nil, &Fault{
				Kind: Conflict, Field: "domains",
				Err: fmt.Errorf("%s belongs to the server: %s, and the names below it, are its own",
					name, c.Domain()),
				Next: "an app gets its own by itself; apps:rename gives it another",
			}
		}
		if !slices.Contains(read, name) {
			read = append(read, name)
		}
	}
	return read, nil
}

func removeDomains(c *Call, in domainsInput, events Teller[Progress]) error {
	var names []string
	for _, text := range in.Domains {
		name, err := asciiName(text)
		if err != nil {
			return wrong("domains", "%w", err)
		}
		names = append(names, name)
	}
	app, err := c.App(in.App)
	if err != nil {
		return err
	}
	note := strings.Join(names, " ")
	err = c.changeWanted(app.Name, note, func(_ volume.App, w *volume.Wanted) error {
		for _, name := range names {
			if !slices.Contains(w.Names.Domains, name) {
				return &Fault{
					Kind: NotFound, Field: "domains",
					Err:  fmt.Errorf("%s has no domain %s", app.Name, name),
					Next: "see domains " + app.Name,
				}
			}
			for from, to := range w.Names.Redirects {
				if to == name && !slices.Contains(names, from) {
					return conflict("redirect:unset "+app.Name+" "+from+" ends that",
						"%s is redirected to %s", from, name)
				}
			}
		}
		w.Names.Domains = slices.DeleteFunc(slices.Clone(w.Names.Domains), func(d string) bool {
			return slices.Contains(names, d)
		})
		w.Names.Redirects = maps.Clone(w.Names.Redirects)
		for _, name := range names {
			delete(w.Names.Redirects, name)
		}
		return nil
	})
	if err == nil {
		err = release(app, names)
	}
	if err == nil {
		progress{events}.step("%s answers no longer at %s", app.Name, strings.Join(names, " "))
	}
	return err
}

// DomainReport is how a name of an app is reached.
type DomainReport struct {
	Domain
	Addresses   []string            `json:"addresses,omitempty"` // what DNS answers now
	CNAME       string              `json:"cname,omitempty"`
	DNSError    string              `json:"dns_error,omitempty"`
	Certificate *volume.Certificate `json:"certificate,omitempty"` // nil: this server has no HTTPS
}

// dnsWait is how long DNS may take to answer.
const dnsWait = 5 * time.Second

func reportDomains(c *Call, in appInput) ([]DomainReport, error) {
	app, err := c.App(in.App)
	if err != nil {
		return nil, err
	}
	domains, err := c.domains(app)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithTimeout(c, dnsWait)
	defer stop()
	reports := make([]DomainReport, len(domains))
	done := make(chan struct{})
	for i, d := range domains {
		reports[i].Domain = d
		if cert, ok := c.certificate(d.Name); ok && c.HTTPS() {
			reports[i].Certificate = &cert
		}
		go func() {
			reports[i].lookUp(ctx, c.Resolver)
			done <- struct{}{}
		}()
	}
	for range domains {
		<-done
	}
	return reports, nil
}

// lookUp asks DNS for the name, or for one that a wildcard stands for.
func (r *DomainReport) lookUp(ctx context.Context, resolver *net.Resolver) {
	name := strings.Replace(r.Name, "*", "any", 1)
	addrs, err := resolver.LookupHost(ctx, name)
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		r.DNSError = "no address"
	case errors.As(err, &dns):
		r.DNSError = dns.Err
	case err != nil:
		r.DNSError = err.Error()
	}
	r.Addresses = slices.Sorted(slices.Values(addrs))
	to, err := resolver.LookupCNAME(ctx, name)
	if to = strings.TrimSuffix(to, "."); err == nil && to != name {
		r.CNAME = to
	}
}

func printDomainReports(p *Page, reports []DomainReport) {
	p.table(func(t io.Writer) {
		for i, r := range reports {
			if i > 0 {
				fmt.Fprintln(t)
			}
			fmt.Fprintf(t, "name\t%s\n", r.readable())
			dns := strings.Join(r.Addresses, " ")
			if r.CNAME != "" {
				dns += " through " + plain(r.CNAME)
			}
			if r.DNSError != "" {
				dns = plain(r.DNSError)
			}
			fmt.Fprintf(t, "dns\t%s\n", dns)
			if r.Redirect != "" {
				fmt.Fprintf(t, "redirects to\t%s\n", r.Redirect)
			}
			printCertificate(t, r.Certificate)
		}
	})
}
