//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"paas/lab/proc"
)

// frontResult has the same requests to the same small app through paas, nginx and Caddy, which
// take turns in each round. Each keeps a log of requests, except Caddy, which has none by default.
type frontResult struct {
	Ways []frontWay
}

// frontWay is one way of asking: what h2load is told, and what came of it.
type frontWay struct {
	Name string
	Args []string
	TLS  bool
	By   map[string][]rate // by program
}

// frontDoor is a program in front of the app.
type frontDoor struct {
	name         string
	pids         func() []int
	plain, https string // addresses
}

func measureFront(ctx context.Context, o options, c *client) (*frontResult, error) {
	if _, err := exec.LookPath("h2load"); err != nil {
		return nil, fmt.Errorf("%w: no h2load; Debian has it in nghttp2-client", errSkipped)
	}
	https, err := freeAddr()
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, o.Paas, c, []string{"PAAS_HTTPS_ADDR=" + https})
	if err != nil {
		return nil, err
	}
	defer s.stop()
	progress("front: deploying the backend")
	app := s.app("backend")
	if err := pushBackend(ctx, c, app); err != nil {
		return nil, err
	}
	direct, err := backendAddr(ctx, app)
	if err != nil {
		return nil, err
	}
	pair, err := certify(c.dir, "backend.localhost")
	if err != nil {
		return nil, err
	}
	add := proc.Command(ctx, s.env, o.Paas, "certs:add", "backend")
	add.Stdin = strings.NewReader(pair)
	if _, err := proc.Output(add); err != nil {
		return nil, err
	}
	if _, err := s.run(ctx, "https:set", "backend", "redirect=off"); err != nil {
		return nil, err
	}
	doors := []frontDoor{{"paas", s.processes, app.addr, https}}
	res := &frontResult{Ways: []frontWay{
		{Name: "HTTP/1.1", Args: []string{"--h1", "-c32", "-m1"}},
		{Name: "HTTPS, HTTP/1.1", Args: []string{"--h1", "-c32", "-m1"}, TLS: true},
		{Name: "HTTPS, HTTP/2", Args: []string{"-c8", "-m4"}, TLS: true},
	}}
	for _, start := range []func(context.Context, *client, string) (frontDoor, *exec.Cmd, error){startNginx, startCaddy} {
		door, cmd, err := start(ctx, c, direct)
		if errors.Is(err, errSkipped) {
			progress("front: %v", err)
			continue
		}
		if err != nil {
			return nil, err
		}
		defer cmd.Wait()
		defer cmd.Process.Signal(os.Interrupt)
		doors = append(doors, door)
	}
	for i := range res.Ways {
		w := &res.Ways[i]
		w.By = map[string][]rate{}
		for round := range o.Rounds + 1 {
			progress("front: %s, round %d of %d", w.Name, round, o.Rounds)
			for k := range doors {
				door, seconds := doors[(k+round)%len(doors)], o.Seconds
				if round == 0 { // warm-up
					seconds = 1
				}
				r, err := w.load(ctx, door, seconds)
				if err != nil {
					return nil, err
				}
				if round > 0 {
					w.By[door.name] = append(w.By[door.name], r)
				}
			}
		}
	}
	return res, nil
}

var (
	h2loadRate  = regexp.MustCompile(`finished in .*, ([0-9.]+) req/s`)
	h2loadCount = regexp.MustCompile(`([0-9]+) done, ([0-9]+) succeeded`)
)

// load runs h2load. It fails if a request was not answered with 200.
func (w *frontWay) load(ctx context.Context, door frontDoor, seconds int) (r rate, err error) {
	scheme, addr := "http", door.plain
	if w.TLS {
		scheme, addr = "https", door.https
	}
	_, port, _ := net.SplitHostPort(addr)
	args := append(slices.Clone(w.Args), "-t2", "-D"+strconv.Itoa(seconds), "--connect-to="+addr,
		scheme+"://backend.localhost:"+port+"/")
	before, err := usedBy(door.pids())
	if err != nil {
		return r, err
	}
	out, err := proc.Output(proc.Command(ctx, os.Environ(), "h2load", args...))
	if err != nil {
		return r, err
	}
	after, err := usedBy(door.pids())
	if err != nil {
		return r, err
	}
	speed, count := h2loadRate.FindSubmatch(out), h2loadCount.FindSubmatch(out)
	if speed == nil || count == nil || string(count[1]) != string(count[2]) || string(count[1]) == "0" {
		return r, fmt.Errorf("%s: requests failed:\n%s", door.name, out)
	}
	if r.PerSecond, err = strconv.ParseFloat(string(speed[1]), 64); err != nil {
		return r, err
	}
	requests, err := strconv.Atoi(string(count[1]))
	r.CPU = (after - before) / time.Duration(requests)
	return r, err
}

func startNginx(ctx context.Context, c *client, app string) (frontDoor, *exec.Cmd, error) {
	const config = `user root; worker_processes auto; daemon off; pid %[1]s/nginx.pid; error_log %[1]s/nginx.error;
events {}
http {
  access_log %[1]s/nginx.access;
  keepalive_requests 1000000;
  upstream app { server %[2]s; keepalive 64; keepalive_requests 1000000; }
  server {
    listen %[3]s; listen %[4]s ssl http2;
    ssl_certificate %[1]s/front.pem; ssl_certificate_key %[1]s/front.pem;
    location / {
      proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
    }
  }
}
`
	return startDoor(ctx, c, app, "nginx", config, "-c")
}

func startCaddy(ctx context.Context, c *client, app string) (frontDoor, *exec.Cmd, error) {
	const config = `{
  admin off
  auto_https off
}
http://%[3]s, http://backend.localhost:%[5]s {
  reverse_proxy %[2]s
}
https://backend.localhost:%[6]s {
  tls %[1]s/front.pem %[1]s/front.pem
  reverse_proxy %[2]s
}
`
	return startDoor(ctx, c, app, "caddy", config, "run", "--adapter", "caddyfile", "--config")
}

// startDoor starts a program with a configuration that names the folder, the app, the addresses for
// HTTP and HTTPS, and their ports.
func startDoor(
	ctx context.Context, c *client, app, name, config string, args ...string,
) (door frontDoor, cmd *exec.Cmd, err error) {
	if _, err := exec.LookPath(name); err != nil {
		return door, nil, fmt.Errorf("%w: no %s", errSkipped, name)
	}
	plain, err := freeAddr()
	if err != nil {
		return door, nil, err
	}
	https, err := freeAddr()
	if err != nil {
		return door, nil, err
	}
	_, plainPort, _ := net.SplitHostPort(plain)
	_, httpsPort, _ := net.SplitHostPort(https)
	path := filepath.Join(c.dir, name+".conf")
	text := fmt.Sprintf(config, c.dir, app, plain, https, plainPort, httpsPort)
	if i := strings.Index(text, "%!(EXTRA"); i >= 0 {
		text = text[:i] // not every configuration needs all of them
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return door, nil, err
	}
	cmd = proc.Command(ctx, append(os.Environ(), "HOME="+c.dir), name, append(args, path)...)
	if err := cmd.Start(); err != nil {
		return door, nil, err
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", https)
		if err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			return door, nil, fmt.Errorf("%s does not listen: %w", name, err)
		}
	}
	pids := func() []int { return append(childrenOf(cmd.Process.Pid), cmd.Process.Pid) }
	return frontDoor{name, pids, plain, https}, cmd, nil
}

// childrenOf lists the processes that pid has started.
func childrenOf(pid int) (children []int) {
	list, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, word := range strings.Fields(string(list)) {
		if child, err := strconv.Atoi(word); err == nil {
			children = append(children, child)
		}
	}
	return children
}

// certify writes a certificate and its key to front.pem in dir, and returns them.
func certify(dir, host string) (pair string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return "", err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	pair = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) +
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return pair, os.WriteFile(filepath.Join(dir, "front.pem"), []byte(pair), 0o600)
}

func (r *frontResult) rows(print row) {
	speed := func(r rate) float64 { return r.PerSecond }
	cost := func(r rate) time.Duration { return r.CPU }
	for _, w := range r.Ways {
		ours := w.By["paas"]
		for _, name := range []string{"nginx", "caddy"} {
			theirs, ok := w.By[name]
			if !ok {
				continue
			}
			a, b := median(ours, speed), median(theirs, speed)
			print(w.Name+": requests a second", fmt.Sprintf("%.0f", a), fmt.Sprintf("%.0f (%s)", b, name), ratio(a, b), "")
			u, v := median(ours, cost), median(theirs, cost)
			print(w.Name+": processor time a request", us(u), us(v)+" ("+name+")", ratio(u, v), "")
		}
	}
}
