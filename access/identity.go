package access

import (
	"errors"
	"io/fs"
	"net/netip"
	"slices"

	"paas/volume"
)

// Identity is who asks, and what proved it. The zero Identity may do nothing.
type Identity struct {
	Name  string     // of the person
	From  netip.Addr // where they come from; the zero Addr: not known, or this machine
	Key   string     // fingerprint of the key that proved it; empty: none did
	Token string     // id of the token that did; empty: none did
	local bool
}

// Local returns the identity of a person with a shell on the server. Such a person can read and
// write every file of the volume anyway, so nothing restricts them.
func Local(name string) Identity { return Identity{Name: name, local: true} }

// IsLocal reports whether the person has a shell on the server.
func (who Identity) IsLocal() bool { return who.local }

// standing is what an identity may do at this moment.
type standing struct {
	person string   // whose grants count
	server Right    // of its own
	owner  Right    // of the person on the server
	most   Right    // it may do with an app, whatever the person may
	apps   []string // identities of the only apps; nil: all
}

// standing looks up what proved the identity again: it may have been removed, or limited. The error
// is for the person.
func (k *Keys) standing(who Identity) (standing, error) {
	switch {
	case who.local:
		return standing{server: Admin, owner: Admin, most: Manage}, nil
	case who.Token != "":
		t, err := Tokens{k}.read(who.Token)
		if errors.Is(err, fs.ErrNotExist) { // with its owner
			err = tokenError(t, ErrTokenRevoked)
		} else if err == nil {
			err = t.usable()
		}
		if err != nil {
			return standing{}, err
		}
		owner, err := k.ownerOf(t, who.From)
		return standing{person: t.Owner, server: Anyone, owner: owner, most: t.Can, apps: t.Apps}, err
	case who.Key != "":
		keys, err := k.list(who.Name)
		if err != nil {
			return standing{}, err
		}
		i := slices.IndexFunc(keys, func(key Key) bool { return key.Fingerprint == who.Key })
		if i < 0 {
			return standing{}, errors.New("your key was removed")
		}
		key := keys[i]
		err = key.options().usable(who.From)
		return standing{person: key.Name, server: key.Role, owner: key.Role, most: Manage}, err
	}
	return standing{}, errors.New("nothing proves who you are")
}

// ownerOf returns the role of the token's owner. It is an error if none of the owner's keys would
// be let in now from the address.
func (k *Keys) ownerOf(t Token, from netip.Addr) (Right, error) {
	if t.Owner == "" {
		return Admin, nil
	}
	keys, err := k.list(t.Owner)
	if err != nil {
		return None, err
	}
	for _, key := range keys {
		if key.options().usable(from) == nil {
			return key.Role, nil
		}
	}
	return None, tokenError(t, errors.New("its owner has no key that counts here and now"))
}

// Actor is how the audit log names the identity that came through a door.
func (who Identity) Actor(door string) volume.Actor {
	a := volume.Actor{By: who.Name, Via: door}
	if who.From.IsValid() {
		a.From = who.From.String()
	}
	switch {
	case who.Token != "":
		a.With = "token " + who.Token
	case who.Key != "":
		a.With = "key " + who.Key
	}
	return a
}
