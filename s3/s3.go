// Package s3 keeps files in a bucket of a store that speaks the protocol of Amazon S3, with signatures of
// version 4. It knows nothing of what is in the files.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// Bucket is a bucket, or the part of it whose keys begin with a prefix. It is a small value.
type Bucket struct {
	// Endpoint is the address of the store: https://host or https://host:port. Plain http is only for
	// this machine. Empty: Amazon's in the region.
	Endpoint string
	Region   string // empty: us-east-1, which other stores than Amazon's take
	Name     string
	Prefix   string // folders, without a slash at either end; empty: none
	// ID and Key are the access key.
	ID, Key string
}

// part is how many bytes are sent at once, and are in memory. A store takes 10,000 of them, so the
// largest file has 160 GB.
const part, maxParts = 16 << 20, 10_000

var (
	bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixes   = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
	regionName = regexp.MustCompile(`^[a-z0-9-]{1,40}$`)
)

// Parse returns the bucket of an address such as s3://bucket/folder, at an endpoint and in a region, either
// of which may be empty.
func Parse(address, endpoint, region string) (b Bucket, err error) {
	rest, ok := strings.CutPrefix(address, "s3://")
	name, prefix, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	b = Bucket{Endpoint: strings.TrimSuffix(endpoint, "/"), Region: region, Name: name, Prefix: prefix}
	switch {
	case !ok || !bucketName.MatchString(name) || prefix != "" && (!prefixes.MatchString(prefix) || !fs.ValidPath(prefix)):
		return b, fmt.Errorf("%.80q is no bucket: s3://NAME or s3://NAME/FOLDER", address)
	case region != "" && !regionName.MatchString(region):
		return b, fmt.Errorf("%.40q is no region, such as eu-central-1", region)
	}
	_, err = b.address("")
	return b, err
}

// address returns the URL of a key.
func (b Bucket) address(key string) (*url.URL, error) {
	endpoint := b.Endpoint
	if endpoint == "" {
		endpoint = "https://s3." + b.region() + ".amazonaws.com"
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" {
		return nil, fmt.Errorf("%.80q is no endpoint: https://HOST or https://HOST:PORT", endpoint)
	}
	if ip, err := netip.ParseAddr(u.Hostname()); u.Scheme != "https" &&
		!(u.Scheme == "http" && (u.Hostname() == "localhost" || err == nil && ip.IsLoopback())) {
		return nil, fmt.Errorf("%.80q is no endpoint: it must begin with https://", endpoint)
	}
	u.Path = "/" + b.Name
	if key != "" {
		u.Path += "/" + path.Join(b.Prefix, key)
	}
	return u, nil
}

func (b Bucket) region() string {
	if b.Region == "" {
		return "us-east-1"
	}
	return b.Region
}

// client follows no redirects: a signature counts for one address.
var client = &http.Client{
	Transport:     transport(),
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 2 * time.Minute
	return t
}

const attempts = 4 // of each request, if the store is away or busy

// do sends a request, and again after a failure that may pass. The caller closes the body.
func (b Bucket) do(ctx context.Context, method, key string, query url.Values, body []byte) (*http.Response, error) {
	wait := time.Second
	for attempt := 1; ; attempt++ {
		answer, err := b.once(ctx, method, key, query, body)
		passes := err != nil || answer.StatusCode >= 500 || answer.StatusCode == http.StatusTooManyRequests
		if passes && attempt < attempts && ctx.Err() == nil {
			if err == nil {
				answer.Body.Close()
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait *= 2
			continue
		}
		if err != nil {
			return nil, err
		}
		if answer.StatusCode/100 == 2 {
			return answer, nil
		}
		defer answer.Body.Close()
		return nil, b.refused(method, key, answer)
	}
}

func (b Bucket) once(ctx context.Context, method, key string, query url.Values, body []byte) (*http.Response, error) {
	u, err := b.address(key)
	if err != nil {
		return nil, err
	}
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(body) // the store compares it with what it gets
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	as := aws.Credentials{AccessKeyID: b.ID, SecretAccessKey: b.Key}
	err = v4.NewSigner().SignHTTP(ctx, as, r, hash, "s3", b.region(), time.Now(), func(o *v4.SignerOptions) {
		o.DisableURIPathEscaping = true // only S3 escapes once
	})
	if err != nil {
		return nil, err
	}
	return client.Do(r)
}

// refused is the error of an answer that is no success.
func (b Bucket) refused(method, key string, answer *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var e struct{ Code, Message string }
	xml.Unmarshal(text, &e)
	if e.Code == "" {
		e.Code = answer.Status
	}
	err := fmt.Errorf("s3://%s: %s %s: %.100s %.200s", path.Join(b.Name, b.Prefix), method, key, e.Code, e.Message)
	if answer.StatusCode == http.StatusNotFound && e.Code != "NoSuchBucket" {
		err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return err
}

// Open returns the content of a file. The error matches [fs.ErrNotExist] if there is none.
func (b Bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	answer, err := b.do(ctx, http.MethodGet, name, nil, nil)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// Remove removes a file; removing it again is harmless.
func (b Bucket) Remove(ctx context.Context, name string) error {
	answer, err := b.do(ctx, http.MethodDelete, name, nil, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		answer.Body.Close()
	}
	return err
}

// List calls each with the name and the size of every file.
func (b Bucket) List(ctx context.Context, each func(name string, size int64)) error {
	query := url.Values{"list-type": {"2"}}
	prefix := ""
	if b.Prefix != "" {
		prefix = b.Prefix + "/"
		query.Set("prefix", prefix)
	}
	for {
		answer, err := b.do(ctx, http.MethodGet, "", query, nil)
		if err != nil {
			return err
		}
		var page struct {
			Contents []struct {
				Key  string
				Size int64
			}
			NextContinuationToken string
		}
		err = xml.NewDecoder(io.LimitReader(answer.Body, 16<<20)).Decode(&page)
		answer.Body.Close()
		if err != nil {
			return fmt.Errorf("s3://%s: list: %w", b.Name, err)
		}
		for _, c := range page.Contents {
			each(strings.TrimPrefix(c.Key, prefix), c.Size)
		}
		if page.NextContinuationToken == "" {
			return nil
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// Put stores what write writes as a file, whole or not at all. It has one part of it in memory.
func (b Bucket) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	u := &upload{bucket: b, ctx: ctx, name: name}
	err := write(u)
	if err == nil {
		err = u.finish()
	}
	if err != nil && u.id != "" { // else the store keeps the parts, and counts them
		if answer, abortErr := b.do(context.WithoutCancel(ctx), http.MethodDelete, name, u.query(), nil); abortErr == nil {
			answer.Body.Close()
		}
	}
	return err
}

// upload sends a file in parts, or in one request if it is small.
type upload struct {
	bucket  Bucket
	ctx     context.Context
	name    string
	pending []byte
	id      string // of the upload in parts; empty: not begun
	done    []sent
}

// sent is a part that the store has.
type sent struct {
	PartNumber int
	ETag       string
}

func (u *upload) query() url.Values { return url.Values{"uploadId": {u.id}} }

func (u *upload) Write(p []byte) (int, error) {
	if u.pending == nil {
		u.pending = make([]byte, 0, part)
	}
	for rest := p; len(rest) > 0; {
		if len(u.pending) == part {
			if err := u.send(); err != nil {
				return 0, err
			}
		}
		n := min(len(rest), part-len(u.pending))
		u.pending, rest = append(u.pending, rest[:n]...), rest[n:]
	}
	return len(p), nil
}

// send sends a part.
func (u *upload) send() error {
	if u.id == "" {
		answer, err := u.bucket.do(u.ctx, http.MethodPost, u.name, url.Values{"uploads": {""}}, nil)
		if err != nil {
			return err
		}
		var begun struct{ UploadId string }
		err = xml.NewDecoder(io.LimitReader(answer.Body, 64<<10)).Decode(&begun)
		answer.Body.Close()
		if err != nil || begun.UploadId == "" {
			return errors.Join(err, errors.New("the store did not begin an upload in parts"))
		}
		u.id = begun.UploadId
	}
	if len(u.done) == maxParts {
		return fmt.Errorf("a file in a bucket has at most %d GB", maxParts*part/1_000_000_000)
	}
	query, n := u.query(), len(u.done)+1
	query.Set("partNumber", fmt.Sprint(n))
	answer, err := u.bucket.do(u.ctx, http.MethodPut, u.name, query, u.pending)
	if err != nil {
		return err
	}
	answer.Body.Close()
	u.done = append(u.done, sent{n, answer.Header.Get("ETag")})
	u.pending = u.pending[:0]
	return nil
}

// finish makes the file appear.
func (u *upload) finish() error {
	if u.id == "" {
		answer, err := u.bucket.do(u.ctx, http.MethodPut, u.name, nil, u.pending)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	if err := u.send(); err != nil {
		return err
	}
	list, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []sent
	}{Part: u.done})
	if err != nil {
		return err
	}
	answer, err := u.bucket.do(u.ctx, http.MethodPost, u.name, u.query(), list)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	var e struct {
		XMLName       xml.Name
		Code, Message string
	}
	if xml.Unmarshal(text, &e) == nil && e.XMLName.Local == "Error" { // in an answer that says 200
		return fmt.Errorf("s3://%s: %s: %s %s", u.bucket.Name, u.name, e.Code, e.Message)
	}
	u.id = ""
	return err
}
