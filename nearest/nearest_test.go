package nearest

import "testing"

func TestWord(t *testing.T) {
	words := []string{"blog", "shop", "status", "config:set", "config:get"}
	for name, want := range map[string]string{
		"blgo": "blog", "shpo": "shop", "statsu": "status", "blogs": "blog", "bog": "blog",
		"config:ste": "config:set", "confg:gte": "config:get",
		"x": "", "": "", "somethingelse": "", "shut": "",
	} {
		if got := Word(name, words); got != want {
			t.Errorf("Word(%q) = %q, want %q", name, got, want)
		}
	}
}
