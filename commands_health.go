package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"paas/config"
	"paas/sidecar"
	"paas/volume"
)

// healthLimit is how long a role may take to answer; a container's health check asks twice a minute.
const healthLimit = 5 * time.Second

func healthCommand(load func(*cobra.Command) (*config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use: "health [ROLE...]", DisableFlagsInUseLine: true,
		Short: "whether the roles run here and answer: exit status 0, or 1 and why not",
		RunE: func(cmd *cobra.Command, roles []string) error {
			roles, err := checkRoles(roles)
			if err != nil {
				return err
			}
			c, err := load(cmd)
			if err != nil {
				return err
			}
			p := newPaas(c)
			var errs []error
			for _, role := range roles {
				if err := p.healthy(cmd.Context(), role); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", role, err))
				}
			}
			return errors.Join(errs...)
		},
	}
}

// healthy asks the role where it listens on this machine.
func (p *paas) healthy(ctx context.Context, role string) error {
	if !p.vol.Claimed(role) {
		return errors.New("not running")
	}
	at := p.place(role)
	switch {
	case role == volume.RoleGit:
		return p.greeted(at.local())
	case role == volume.RoleApp:
		return answers("http://" + at.local() + "/")
	case at.Listen == "":
		return nil
	}
	return sidecar.Probe(ctx, at.local())
}

// local is where a role is reached from this machine.
func (at place) local() string {
	host, port, _ := net.SplitHostPort(at.Listen)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// greeted reads an SSH server's first words (RFC 4253, section 4.2).
func (p *paas) greeted(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, healthLimit)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(healthLimit))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "SSH-2.0-") {
		err = errors.New("something else has its port")
	}
	return err
}

// answers says whether HTTP is spoken at url; any answer is one. It asks for a host that is no app's,
// since how an app is does not matter here.
func answers(url string) error {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Host = "health.invalid"
	client := http.Client{Timeout: healthLimit, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
