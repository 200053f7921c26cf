package remote

import "testing"

func TestJoin(t *testing.T) {
	for _, test := range []struct{ base, rel, want string }{
		{"", "https://host/me/lib.git", "https://host/me/lib.git"},
		{"https://host/me/app.git", "../lib.git", "https://host/me/lib.git"},
		{"https://host/me/app.git/", "../lib.git", "https://host/me/lib.git"},
		{"https://host/me/app.git", "../../you/lib.git", "https://host/you/lib.git"},
		{"https://host/me/app.git", "./lib.git", "https://host/me/app.git/lib.git"},
		{"https://host:8443/app.git", "../lib.git", "https://host:8443/lib.git"},
		{"git@host:me/app.git", "../lib.git", "git@host:me/lib.git"},
		{"git@host:app.git", "../lib.git", "git@host:lib.git"},
		{"https://host/app.git", "../../evil.test/lib.git", ""},
		{"https://host/app.git", "../../../evil.test/lib.git", ""},
		{"git@host:app.git", "../../lib.git", "git@host:lib.git"},
		{"git@host:app.git", "../../../evil.test:lib.git", "git@host:evil.test:lib.git"},
		{"", "../lib.git", ""},
		{"", "file:///etc", ""},
		{"", "/etc", ""},
		{"", "--upload-pack=id", ""},
		{"", "ext::id", ""},
		{"", "", ""},
	} {
		got, err := Join(test.base, test.rel)
		if test.want != "" && got != test.want {
			t.Errorf("%s, %s: %s", test.base, test.rel, got)
		}
		if test.want == "" && err == nil {
			t.Errorf("%s, %s: accepted as %s", test.base, test.rel, got)
		}
	}
}
