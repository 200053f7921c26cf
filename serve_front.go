package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"paas/link"
	"paas/router"
	"paas/volume"
)

// frontSays is what a front tells the app role about itself.
type frontSays struct {
	HTTPPort string `json:"http_port"` // for people
}

// linkKey returns the key that the roles share.
func (s *server) linkKey() link.Key { return link.Key{Dir: filepath.Join(s.config.Root, "link")} }

// linkDoor admits fronts. Without a key, on a full disk, it admits none.
func (s *server) linkDoor() *link.Door {
	log := s.log.With("role", "link")
	if err := s.linkKey().Make(); err != nil {
		log.Error("cannot make the key for the front", "err", err)
	}
	return &link.Door{Key: s.linkKey(), Publisher: s.fronts, Log: log}
}

// hearFront lets the role app print addresses that lead to the front.
func (s *server) hearFront(says json.RawMessage) {
	var front frontSays
	if json.Unmarshal(says, &front) != nil || front.HTTPPort == "" {
		return
	}
	if err := s.addresses.PublishPort(volume.RoleApp, front.HTTPPort); err != nil {
		s.log.Error("cannot tell commands the address of the front", "port", front.HTTPPort, "err", err)
	}
}

// follower lets the router of a front lead to the roles of other processes.
type follower struct {
	*server
	link.Follower
	known bool          // there were routes at start
	first chan struct{} // closed when the role app has sent all routes
}

// appResponse is how long the role app may take to respond: longer than it waits for an app.
const appResponse = 10 * time.Minute

func (s *server) listenFront() error {
	c, log := s.config, s.log.With("role", "link")
	s.front = s.newRouter()
	s.front.ResponseTimeout = appResponse
	if err := s.openRouter(); err != nil {
		return err
	}
	s.publish(volume.RoleFront, s.front.Address().String())
	if err := s.linkKey().Make(); err != nil {
		log.Error("cannot make the key for the other roles", "err", err)
	}
	f := &follower{server: s, first: make(chan struct{})}
	s.front.Dial = func(ctx context.Context, app, addr string) (net.Conn, error) {
		if app == volume.Own && c.GitHTTPAddr != "" {
			return s.linkKey().Dial(ctx, addr)
		}
		addr, err := f.appAddr()
		if err != nil {
			return nil, err
		}
		return s.linkKey().Dial(ctx, addr)
	}
	if c.GitHTTPAddr != "" {
		s.front.Set(volume.Own, router.Route{
			Addrs: []string{c.GitHTTPAddr}, State: router.Running, Inner: true,
		})
	}
	synced := sync.OnceFunc(func() { close(f.first) })
	f.Follower = link.Follower{
		Key: s.linkKey(), Addr: f.appAddr, Says: frontSays{HTTPPort: s.addresses.Visitors().Port},
		Set: f.set, Remove: func(app string) {
			if app != volume.Own {
				s.front.Remove(app)
			}
		},
		Save: func(routes map[string]json.RawMessage) { f.save(routes); synced() },
		Log:  log,
	}
	text, err := os.ReadFile(f.file())
	f.known = err == nil && json.Unmarshal(text, &f.Known) == nil
	for app, value := range f.Known {
		f.set(app, value)
	}
	s.follower = f
	return nil
}

// follow follows the role app.
func (s *server) follow(ctx context.Context) error { return s.follower.Run(ctx) }

// appAddr is where the role app listens.
func (f *follower) appAddr() (string, error) {
	if f.config.AppAddr != "" {
		return f.config.AppAddr, nil
	}
	at, ok := f.addresses.Published(volume.RoleApp)
	if !ok {
		return "", errors.New("the role app does not run on this machine")
	}
	return at.Local(), nil
}

// set takes a route over that the role app has published.
func (f *follower) set(app string, value json.RawMessage) {
	if app == volume.Own && (f.config.GitHTTPAddr != "" || f.web != nil) {
		return
	}
	var route router.Route
	if err := json.Unmarshal(value, &route); err != nil {
		f.Log.Error("cannot read a route; is the role app another version?", "app", app, "err", err)
		return
	}
	route.Addrs, route.State, route.Inner = []string{"role app"}, router.Running, true
	f.front.Set(app, route)
}

// save stores the routes for the next start.
func (f *follower) save(routes map[string]json.RawMessage) {
	text, err := json.Marshal(routes)
	if err == nil {
		err = f.vol.WriteFile(f.file(), text, 0o600)
	}
	if err != nil { // the next start waits for the role app
		f.Log.Error("cannot store the routes", "err", err)
	}
}

func (f *follower) file() string { return filepath.Join(f.config.Root, "run", "routes.json") }

// serveVisitors runs the router. A front that knows no routes yet lets visitors wait for them, within
// the time that a request may wait.
func (s *server) serveVisitors(ctx context.Context) error {
	if f := s.follower; f != nil && !f.known {
		select {
		case <-f.first:
		case <-time.After(s.config.Hold):
		case <-ctx.Done():
		}
	}
	return s.front.Run(ctx)
}
