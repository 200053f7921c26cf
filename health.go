package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"paas/access"
	"paas/command"
	"paas/config"
	"paas/router"
	"paas/sidecar"
	"paas/sshd"
	"paas/volume"
)

// healthRow is paas health, which a container's health check runs.
func healthRow(load func() (*config.Config, error)) command.Row {
	return command.Stream[rolesInput, roleHealth]{
		Head: command.Head{
			Name: "health", Group: command.Operate, Needs: access.Anyone,
			Example: "git app",
			Short:   "check whether the roles run here and answer: exit status 0, or 1 and why not",
		},
		Run: func(c *command.Call, in rolesInput, events command.Teller[roleHealth]) error {
			roles, err := checkRoles(in.Roles)
			if err != nil {
				return err
			}
			settings, err := load()
			if err != nil {
				return err
			}
			p := newPaas(settings)
			var errs []error
			for _, role := range roles {
				health := roleHealth{Role: role, OK: true}
				if err := p.healthy(c, role); err != nil {
					health.OK, health.Problem = false, err.Error()
					errs = append(errs, fmt.Errorf("%s: %w", role, err))
				}
				if err := events.Tell(health); err != nil {
					return err
				}
			}
			return errors.Join(errs...)
		},
		Text: func(p *command.Page) command.Teller[roleHealth] { return &healthPage{Page: p} },
	}
}

type rolesInput struct {
	Roles []string `json:"roles" arg:"[ROLE...]"`
}

type roleHealth struct {
	Role    string `json:"role"`
	OK      bool   `json:"ok"`
	Problem string `json:"problem,omitempty"`
}

// healthPage shows the roles that are healthy, and whether all are. The command's error names the
// others.
type healthPage struct {
	*command.Page
	good, bad int
}

func (p *healthPage) Tell(h roleHealth) (err error) {
	if !h.OK {
		p.bad++
		return nil
	}
	p.good++
	_, err = fmt.Fprintf(p, "%s: ok\n", h.Role)
	return err
}

func (p *healthPage) Flush() (err error) {
	if p.good > 0 && p.bad == 0 {
		_, err = fmt.Fprintln(p, "all is well")
	}
	return err
}

// healthLimit is how long a role may take to answer.
const healthLimit = 5 * time.Second

// healthy asks the role where it listens on this machine.
func (p *paas) healthy(ctx context.Context, role string) error {
	if !p.vol.Claimed(role) {
		return errors.New("not running")
	}
	ctx, cancel := context.WithTimeout(ctx, healthLimit)
	defer cancel()
	at := p.addresses.Of(role)
	switch {
	case role == volume.RoleGit:
		return sshd.Probe(ctx, at.Local())
	case role == volume.RoleApp, role == volume.RoleFront:
		return router.Probe(ctx, at.Local(), p.config.ProxyProtocol)
	case at.Listen == "":
		return nil
	}
	return sidecar.Probe(ctx, at.Local())
}
