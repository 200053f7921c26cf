package sidecar

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"

	"paas/volume"
)

// maxHook is the largest call that is read, in bytes: GitHub sends no larger ones.
const maxHook = 25 << 20

// serveHook polls an app's source now, if the caller knows the app's secret. It ignores what the
// call says: so a replayed call costs no more than one poll a second. Without the secret all apps
// look the same, also those that do not exist.
func (s *Sidecar) serveHook(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	f := s.followers[r.PathValue("app")]
	if f != nil && f.stopped {
		f = nil
	}
	s.mu.Unlock()
	var secret []byte
	if f != nil {
		// one that cannot be read counts as none
		secret, _ = s.Volume.Credentials(f.app.Name).Get(volume.SourceWebhook)
	}
	ok, err := genuine(
		r.Header, strings.TrimSpace(string(secret)), http.MaxBytesReader(w, r.Body, maxHook),
	)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		http.Error(w, "larger than 25 MiB", http.StatusRequestEntityTooLarge)
	case err != nil:
		http.Error(w, "not read to its end", http.StatusBadRequest)
	case !ok:
		http.Error(w, "no app of this name has a source and this secret", http.StatusForbidden)
	default:
		f.asked.ring()
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "looking\n")
	}
}

// genuine reports whether the caller knows the secret. Nobody knows an empty one; the answer takes
// as long then. It reads body if that is signed.
//
//   - GitHub: X-Hub-Signature-256, "sha256=" and the HMAC of the body in hexadecimal
//     (https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries)
//   - Gitea and Forgejo: X-Gitea-Signature and X-Forgejo-Signature, the same without "sha256="
//     (https://docs.gitea.com/usage/webhooks)
//   - GitLab: X-Gitlab-Token, the secret itself
//     (https://docs.gitlab.com/user/project/integrations/webhooks/)
func genuine(h http.Header, secret string, body io.Reader) (bool, error) {
	key := []byte(cmp.Or(secret, rand.Text()))
	claimed, signed := signature(h)
	if !signed {
		// of equal length
		want, got := sha256.Sum256(key), sha256.Sum256([]byte(h.Get("X-Gitlab-Token")))
		return subtle.ConstantTimeCompare(want[:], got[:]) == 1, nil
	}
	mac := hmac.New(sha256.New, key)
	if _, err := io.Copy(mac, body); err != nil {
		return false, err
	}
	return hmac.Equal(mac.Sum(nil), claimed), nil
}

// signature returns the signature in the headers; false if there is none.
func signature(h http.Header) (sum []byte, signed bool) {
	text, prefixed := strings.CutPrefix(h.Get("X-Hub-Signature-256"), "sha256=")
	if !prefixed {
		text = cmp.Or(h.Get("X-Gitea-Signature"), h.Get("X-Forgejo-Signature"))
	}
	sum, err := hex.DecodeString(text)
	return sum, err == nil && len(sum) == sha256.Size
}
