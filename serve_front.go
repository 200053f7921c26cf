package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paas/address"
	"paas/certs"
	"paas/link"
	"paas/pause"
	"paas/router"
	"paas/volume"
)

// What a front tells the role app: where people reach it, the states of certificates, and which
// requests it has answered by itself.
const (
	saysAddress     = "address"
	saysCertificate = "certificate/" // and a host name
	saysAnswered    = "answered/"    // and an app
)

// frontLines are lines of requests that a front has answered by itself.
type frontLines struct {
	At    time.Time `json:"at"`
	Lines string    `json:"lines"`
	Lost  int       `json:"lost,omitempty"` // lines before these
}

// frontLog sends the lines of an app to the role app, whose log has the others.
type frontLog struct {
	says *link.Publisher
	app  string
	lost int
}

func (l *frontLog) Requests(lines []byte) {
	if l.says.Tell(saysAnswered+l.app, frontLines{time.Now().UTC(), string(lines), l.lost}) {
		l.lost = 0
	} else {
		l.lost += bytes.Count(lines, []byte("\n"))
	}
}

func (l *frontLog) Note(string) {} // the role app says the same to the app's owner
func (l *frontLog) Close()      {}

// late is how old a line from a front may be without saying so.
const late = time.Second

// text is what the log of an app gets, at a time that lines have to tell if they come late.
func (f frontLines) text(now time.Time) string {
	lines := f.Lines
	if now.Sub(f.At) > late { // this role was away
		lines = strings.ReplaceAll(lines, "\n", " at="+f.At.Format("2006-01-02T15:04:05.000Z")+"\n")
	}
	if f.Lost > 0 {
		return fmt.Sprintf("%d requests are missing here: the front could not send their lines\n%s", f.Lost, lines)
	}
	return lines
}

// linkKey returns the key that the roles share.
func (s *server) linkKey() link.Key { return link.Key{Dir: filepath.Join(s.config.Root, "link")} }

// linkDoor admits fronts. Without a key, on a full disk, it admits none.
func (s *server) linkDoor() *link.Door {
	log := s.log.With("role", "link")
	if err := s.linkKey().Make(); err != nil {
		log.Error("cannot make the key for the front", "err", err)
	}
	return &link.Door{
		Key: s.linkKey(), Publisher: s.fronts, Private: s.connectKeeper, PrivateKey: s.keepersKey(), Log: log,
	}
}

// keepersKey returns the key that a front elsewhere must know to be given the keys of certificates. It
// is in the folder of the role git, for roles that run apps must not have it.
func (s *server) keepersKey() link.Key {
	return link.Key{Dir: filepath.Join(s.config.Root, "ssh", "front")}
}

// connectKeeper lets a front elsewhere take certificates that people bring to the role git. They go
// through no other role.
func (s *server) connectKeeper(ctx context.Context, conn net.Conn) {
	if s.keepersDoor != nil {
		s.keepers.Connect(ctx, conn)
	}
}

// serveKeepers takes certificates for fronts elsewhere until ctx ends.
func (s *server) serveKeepers(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { s.keepersDoor.Close() })()
	s.keepers.Serve(s.keepersDoor)
	return nil
}

// hearFront lets commands of the role app know what a front says of itself.
func (s *server) hearFront(name string, value json.RawMessage) {
	var err error
	if name == saysAddress {
		var front address.Address
		if err = json.Unmarshal(value, &front); err == nil {
			err = s.addresses.PublishFront(volume.RoleApp, front)
		}
	} else if host, ok := strings.CutPrefix(name, saysCertificate); ok && volume.CheckDomain(host) == nil {
		var state volume.Certificate // zero: there is none
		if value != nil {
			err = json.Unmarshal(value, &state)
		}
		if err == nil {
			s.certified(host, certs.Status(state))
		}
	} else if app, ok := strings.CutPrefix(name, saysAnswered); ok {
		var f frontLines
		if err = json.Unmarshal(value, &f); err == nil {
			s.front.Logged(app, []byte(f.text(time.Now())))
		}
	}
	if err != nil {
		s.log.Error("cannot tell commands what the front says", "name", name, "err", err)
	}
}

// follower lets the router of a front lead to the roles of other processes.
type follower struct {
	*server
	link.Follower
	door  *visitorsDoor
	known bool          // there were routes at start
	first chan struct{} // closed when the role app has sent all routes
}

// appResponse is how long the role app may take to respond: longer than it waits for an app.
const appResponse = 10 * time.Minute

func (s *server) listenFront() error {
	c, log := s.config, s.log.With("role", "link")
	says := &link.Publisher{}
	s.front = s.newRouter()
	s.front.ResponseTimeout = appResponse
	s.front.LogOwnAs = "front"
	s.front.AppLog = func(app string) router.AppLog {
		if app == volume.Own {
			return nil
		}
		return &frontLog{says: says, app: app}
	}
	if err := s.openRouter(); err != nil {
		return err
	}
	f := &follower{
		server: s, door: &visitorsDoor{Router: s.front, apps: map[string]hosts{}},
		first: make(chan struct{}),
	}
	f.Says = says
	s.follower = f
	if err := s.listenHTTPS(f.door); err != nil {
		return err
	}
	s.publish(volume.RoleFront, s.front.Address().String())
	s.begin(func() error { // once it is published
		f.Says.Set(saysAddress, s.addresses.Visitors())
		return nil
	})
	if err := s.linkKey().Make(); err != nil {
		log.Error("cannot make the key for the other roles", "err", err)
	}
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
		s.certifyOwn()
	}
	s.front.Alive = func() bool { return f.Alive() }
	synced := sync.OnceFunc(func() { close(f.first) })
	f.Follower = link.Follower{
		Key: s.linkKey(), Addr: f.appAddr, Says: f.Says, Set: f.set, Remove: f.remove,
		Save: func(routes map[string]json.RawMessage) { f.save(routes); synced() },
		Log:  log,
	}
	text, err := os.ReadFile(f.file())
	f.known = err == nil && json.Unmarshal(text, &f.Known) == nil
	for app, value := range f.Known {
		f.set(app, value)
	}
	return nil
}

// follow follows the role app. A front elsewhere also takes certificates from the role git.
func (s *server) follow(ctx context.Context) error {
	var taking sync.WaitGroup
	defer taking.Wait()
	if s.config.AppAddr != "" && s.certs != nil {
		taking.Go(func() { s.follower.takeCertificates(ctx) })
	}
	return s.follower.Run(ctx)
}

// Pauses between attempts to reach the role git, doubling from the first to the last.
const (
	minTakePause = 100 * time.Millisecond
	maxTakePause = 5 * time.Second
)

// takeCertificates takes what people bring to the role git, until ctx ends.
func (f *follower) takeCertificates(ctx context.Context) {
	second := link.Key{Dir: filepath.Join(f.config.Root, "certs", "front")} // a copy, by the owner
	addr := cmp.Or(f.config.GitHTTPAddr, f.config.AppAddr)
	wait, said := minTakePause, false
	for {
		there := second.Exists()
		var err error
		if there {
			var conn net.Conn
			if conn, err = f.Key.DialPrivate(ctx, addr, second); err == nil {
				wait, said = minTakePause, false
				err = f.certs.Answer(ctx, conn)
			}
		}
		if there && !said && ctx.Err() == nil {
			said = true
			f.Log.Warn("the role git is away; certificates that people bring do not come here",
				"addr", addr, "err", err)
		}
		if pause.For(ctx, wait, nil) != nil {
			return
		}
		wait = min(2*wait, maxTakePause)
	}
}

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
	var p published
	if err := json.Unmarshal(value, &p); err != nil {
		f.Log.Error("cannot read a route; is the role app another version?", "app", app, "err", err)
		return
	}
	p.Route.Addrs, p.Route.State, p.Route.Inner = []string{"role app"}, router.Running, true
	f.door.set(app, p.Route, p.Hosts)
	if app == volume.Own {
		f.certifyOwn()
	}
}

func (f *follower) remove(app string) {
	if app != volume.Own {
		f.door.remove(app)
	}
}

// certified tells the role app the state of a certificate.
func (f *follower) certified(name string, state certs.Status) {
	if state == (certs.Status{}) {
		f.Says.Remove(saysCertificate + name)
		return
	}
	f.Says.Set(saysCertificate+name, volume.Certificate(state))
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
