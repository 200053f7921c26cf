package sidecar

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"paas/rig"
	"paas/volume"
)

func signed(secret, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestGenuine(t *testing.T) {
	// The example in GitHub's documentation.
	const secret, body = "It's a Secret to Everybody", "Hello, World!"
	const sum = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	for _, c := range []struct {
		header, value, secret string
		want                  bool
	}{
		{"X-Hub-Signature-256", "sha256=" + sum, secret, true},
		{"X-Hub-Signature-256", "sha256=" + strings.ToUpper(sum), secret, true},
		{"X-Hub-Signature-256", sum, secret, false},
		{"X-Hub-Signature-256", "sha1=" + sum, secret, false},
		{"X-Hub-Signature-256", "sha256=", secret, false},
		{"X-Hub-Signature-256", "sha256=" + sum[:62], secret, false},
		{"X-Hub-Signature-256", "sha256=" + sum + "00", secret, false},
		{"X-Hub-Signature-256", "sha256=" + sum, "other", false},
		{"X-Hub-Signature-256", "sha256=" + signed("", body), "", false},
		{"X-Gitea-Signature", sum, secret, true},
		{"X-Gitea-Signature", sum, secret + " ", false},
		{"X-Forgejo-Signature", sum, secret, true},
		{"X-Forgejo-Signature", "sha256=" + sum, secret, false},
		{"X-Gitlab-Token", secret, secret, true},
		{"X-Gitlab-Token", secret + "x", secret, false},
		{"X-Gitlab-Token", secret[1:], secret, false},
		{"X-Gitlab-Token", "", "", false},
		{"X-Other", "", "", false},
		{"X-Other", "", secret, false},
	} {
		h := http.Header{}
		h.Set(c.header, c.value)
		if got, err := genuine(h, c.secret, strings.NewReader(body)); got != c.want || err != nil {
			t.Errorf("%s: %s with %q: %v %v", c.header, c.value, c.secret, got, err)
		}
	}
	h := http.Header{"X-Hub-Signature-256": {"sha256=" + sum}}
	if got, err := genuine(h, secret, strings.NewReader(body+"!")); got || err != nil {
		t.Error("another body is taken")
	}
	if got, err := genuine(h, secret, iotest.ErrReader(io.ErrUnexpectedEOF)); got ||
		!errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(got, err)
	}
}

func FuzzGenuine(f *testing.F) {
	f.Add(
		"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17", "", "token",
		"body",
	)
	f.Fuzz(func(t *testing.T, hub, gitea, gitlab, body string) {
		const secret = "a secret that nobody guesses"
		h := http.Header{
			"X-Hub-Signature-256": {hub},
			"X-Gitea-Signature":   {gitea},
			"X-Gitlab-Token":      {gitlab},
		}
		ok, err := genuine(h, secret, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		known := strings.EqualFold(hub, "sha256="+signed(secret, body)) ||
			strings.EqualFold(gitea, signed(secret, body)) ||
			gitlab == secret
		if ok && !known {
			t.Fatalf("%q %q %q were taken", hub, gitea, gitlab)
		}
	})
}

// serving is a stage that serves over HTTP, and runs.
func serving(t *testing.T, r Remote) *stage {
	t.Helper()
	s := newStage(t, r)
	s.Addr = "127.0.0.1:0"
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	s.runtime()
	s.start()
	return s
}

// post posts to a path of the sidecar's and returns the status and the body.
func (s *stage) post(path, header, value string, body io.Reader) (int, string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+s.Address().String()+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set(header, value)
	return s.do(request)
}

func (s *stage) get(path string) (int, string) {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, "http://"+s.Address().String()+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(request)
}

func (s *stage) do(request *http.Request) (int, string) {
	s.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

// A push that the host reports goes live without waiting for the interval. A caller who does not
// know the secret learns nothing, not even which apps exist.
func TestWebhook(t *testing.T) {
	s := serving(t, newClient(t))
	r := newHosting(t).repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	s.app("quiet", volume.Source{URL: r.url, Every: rarely}) // nobody asked for its secret
	s.Volume.Create("bare")
	rig.Eventually(t, "one is live", func() bool { return looked(t, app).Release == 1 })
	secret, err := s.Volume.Credentials("blog").Webhook()
	if err != nil {
		t.Fatal(err)
	}
	two := r.commit("two", "a", "b")
	const body = `{"ref":"refs/heads/main"}`
	refusal := ""
	for _, path := range []string{"blog", "quiet", "bare", "nobody", "..%2fblog", "%00"} {
		for _, value := range []string{"sha256=" + signed("wrong", body), "sha256=" + signed("", body), "nonsense", ""} {
			status, said := s.post(
				"/hooks/"+path, "X-Hub-Signature-256", value, strings.NewReader(body),
			)
			if refusal == "" {
				refusal = said
			}
			if status != http.StatusForbidden || said != refusal {
				t.Errorf("%s: %d %q", path, status, said)
			}
		}
		status, _ := s.post("/hooks/"+path, "X-Gitlab-Token", "", strings.NewReader(body))
		if status != http.StatusForbidden {
			t.Errorf("%s: %d", path, status)
		}
	}
	if app.Live() != 1 {
		t.Error("a stranger had it looked at")
	}
	if status, _ := s.get("/hooks/blog"); status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", status)
	}
	for range 3 { // and again
		status, said := s.post(
			"/hooks/blog", "X-Hub-Signature-256", "sha256="+signed(secret, body),
			strings.NewReader(body),
		)
		if status != http.StatusAccepted || said != "looking\n" {
			t.Errorf("%d %q", status, said)
		}
	}
	rig.Eventually(t, "two is live", func() bool { return isLive(app, two) && looked(t, app).Commit == two })
	three := r.commit("three", "a", "c")
	status, _ := s.post("/hooks/blog", "X-Gitlab-Token", secret, strings.NewReader(body))
	if status != http.StatusAccepted {
		t.Errorf("GitLab: %d", status)
	}
	rig.Eventually(t, "three is live", func() bool { return isLive(app, three) })
	if s.log.count(secret) > 0 {
		t.Error("the log holds the secret")
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestWebhookLarge(t *testing.T) {
	s := serving(t, newClient(t))
	conn, err := net.Dial("tcp", s.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(
		conn,
		"POST /hooks/blog HTTP/1.1\r\nHost: x\r\nX-Gitea-Signature: "+signed(
			"a", "b",
		)+"\r\nContent-Length: 99999999999\r\n\r\n",
	)
	go io.Copy(conn, endless{})
	status := make([]byte, 12)
	if _, err := io.ReadFull(conn, status); err != nil || string(status) != "HTTP/1.1 413" {
		t.Errorf("%q %v", status, err)
	}
}

func TestHealth(t *testing.T) {
	s := newStage(t, newDiary(here))
	if s.Address() != nil {
		t.Error("it has an address before Listen")
	}
	if s.Listen() != nil {
		t.Error("Listen fails without an address")
	}
	if s.Address() != nil {
		t.Error("it listens without an address")
	}
	s.Addr = "127.0.0.1:0"
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	taken := newStage(t, newDiary(here))
	taken.Addr = s.Address().String()
	if err := taken.Listen(); err == nil {
		t.Error("two have one address")
	}
	s.settled("blog", volume.DefaultEvery)
	stop := s.start()
	status, body := s.get("/healthz")
	if status != http.StatusOK ||
		body != `{"ok":true,"running":true,"sources":1}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	if err := Probe(t.Context(), s.Address().String()); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	f := s.followers["blog"]
	s.mu.Unlock()
	f.duty.mu.Lock()
	f.duty.due = time.Now().Add(-time.Hour)
	f.duty.mu.Unlock()
	status, body = s.get("/healthz")
	var h Health
	err := json.Unmarshal([]byte(body), &h)
	if err != nil || status != http.StatusServiceUnavailable ||
		len(h.Behind) != 1 {
		t.Errorf("%d %s %v", status, body, err)
	}
	if err := Probe(t.Context(), s.Address().String()); err == nil ||
		err.Error() != "not polled for three intervals: blog" {
		t.Error(err)
	}
	done := f.duty.busy()
	if !s.Health().OK {
		t.Error("a deploy that takes its time is ill health")
	}
	done()
	s.mu.Lock()
	s.beat = time.Now().Add(-time.Hour)
	s.mu.Unlock()
	if err := Probe(t.Context(), s.Address().String()); err == nil ||
		!strings.Contains(err.Error(), "main loop hangs") {
		t.Error(err)
	}
	addr := s.Address().String()
	stop()
	if err := Probe(t.Context(), addr); err == nil ||
		!strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
}

func TestMetrics(t *testing.T) {
	s := serving(t, newClient(t))
	h := newHosting(t)
	r := h.repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	gone := s.app("gone", volume.Source{URL: h.URL + "/gone", Every: rarely})
	rig.Eventually(
		t, "one is live",
		func() bool { return looked(t, app).Release == 1 && looked(t, gone).Error != "" },
	)
	bad := r.commit("bad", "fate", "fail build: no")
	s.now("blog")
	rig.Eventually(t, "it has failed", func() bool { return looked(t, app).Commit == bad })
	var status int
	var text string
	rig.Eventually(t, "all is counted", func() bool {
		status, text = s.get("/metrics")
		return strings.Contains(text, `result="failed"`)
	})
	if status != http.StatusOK {
		t.Error(status)
	}
	contains(
		t, text, "# TYPE paas_sources gauge\npaas_sources 2\n",
		"# TYPE paas_source_look_seconds summary\n",
		`paas_source_look_seconds_count{app="blog"} 2`+"\n",
		`paas_source_look_seconds_sum{app="blog"} 0.`,
		`paas_source_look_failures_total{app="blog"} 0`+"\n",
		`paas_source_look_failures_total{app="gone"} 1`+"\n",
		`paas_source_last_success_timestamp_seconds{app="blog"} 1`,
		`paas_source_sync_seconds_count{app="blog"} 2`+"\n",
		`paas_source_deploys_total{app="blog",result="failed"} 1`+"\n",
		`paas_source_deploys_total{app="blog",result="live"} 1`+"\n",
	)
	if strings.Contains(text, `timestamp_seconds{app="gone"}`) || !strings.HasSuffix(text, "\n") {
		t.Error(text)
	}
}

// The text format escapes three characters in the value of a label.
func TestLabel(t *testing.T) {
	var out bytes.Buffer
	write(&out, map[string]*meter{"a\\b\"c\nd é": {polls: 1, polling: 1500 * time.Millisecond}})
	contains(t, out.String(), `paas_source_look_seconds_sum{app="a\\b\"c\nd é"} 1.5`+"\n")
	for line := range strings.Lines(out.String()) {
		if !strings.HasPrefix(line, "# HELP ") && !strings.HasPrefix(line, "# TYPE ") &&
			!strings.HasPrefix(line, "paas_source_") {
			t.Errorf("not a line of the format: %q", line)
		}
	}
}
