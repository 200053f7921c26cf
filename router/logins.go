package router

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"paas/limiter"
)

// Checking a password takes some 50 ms of processor time, by design. So an app's passwords are
// checked one at a time, with a pause after each wrong one, and few requests may wait for that: a
// stranger who guesses takes a small part of one processor. A password that was right is
// remembered, as a hash with a secret of this process, and then costs a microsecond.
const (
	wrongPasswordPause = 300 * time.Millisecond
	maxLogins          = 64 // requests that wait, of all clients
	maxClientLogins    = 8  // and of one IPv4 address or IPv6 network
)

// logins checks the passwords of an app's users.
type logins struct {
	users  map[string]string // bcrypt hashes
	secret []byte
	turn   chan struct{} // holds one value while a password is checked

	mu      sync.Mutex
	right   map[string][sha256.Size]byte // by user: of the password that was right
	waiting map[netip.Prefix]int         // requests, by the client's network
	all     int
}

func newLogins(users map[string]string) logins {
	secret := make([]byte, 32)
	rand.Read(secret)
	return logins{
		users: users, secret: secret, turn: make(chan struct{}, 1),
		right: map[string][sha256.Size]byte{}, waiting: map[netip.Prefix]int{},
	}
}

// check returns the user that x's credentials belong to (RFC 7617).
func (l *logins) check(x *exchange) (user string, err error) {
	user, password, ok := credentials(x.req.header.values("Authorization"))
	if !ok {
		return "", errUnauthorized
	}
	sum := sha256.Sum256(append(l.secret[:len(l.secret):len(l.secret)], password...))
	if l.remembers(user, sum) {
		return user, nil
	}
	if !l.wait(x.from) {
		return "", errManyLogins
	}
	defer l.done(x.from)
	select {
	case l.turn <- struct{}{}:
	case <-x.client.gone.Done():
		return "", x.client.gone.Err()
	}
	if l.remembers(user, sum) { // a request beside this one has just shown it
		<-l.turn
		return user, nil
	}
	hash, known := l.users[user]
	if !known { // take as long as for one that is known
		for _, hash = range l.users {
			break
		}
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil || !known {
		time.AfterFunc(wrongPasswordPause, func() { <-l.turn })
		return "", errUnauthorized
	}
	l.mu.Lock()
	l.right[user] = sum
	l.mu.Unlock()
	<-l.turn
	return user, nil
}

func (l *logins) remembers(user string, sum [sha256.Size]byte) bool {
	l.mu.Lock()
	right, ok := l.right[user]
	l.mu.Unlock()
	return ok && subtle.ConstantTimeCompare(right[:], sum[:]) == 1
}

// wait counts one more request that waits, or returns false if there are too many.
func (l *logins) wait(client string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := network(client)
	if l.all == maxLogins || l.waiting[from] == maxClientLogins {
		return false
	}
	l.all++
	l.waiting[from]++
	return true
}

func (l *logins) done(client string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	from := network(client)
	l.all--
	if l.waiting[from]--; l.waiting[from] == 0 {
		delete(l.waiting, from)
	}
}

func network(client string) netip.Prefix {
	ip, _ := netip.ParseAddr(client)
	return limiter.Network(ip)
}

// credentials returns the user name and password in the values of the Authorization fields.
func credentials(values []string) (user, password string, ok bool) {
	if len(values) != 1 {
		return "", "", false
	}
	scheme, encoded, _ := strings.Cut(values[0], " ")
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimLeft(encoded, " "))
	if err != nil || !equalFold(scheme, "Basic") {
		return "", "", false
	}
	return strings.Cut(string(decoded), ":")
}
