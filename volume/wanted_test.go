package volume

import (
	"os"
	"reflect"
	"testing"
	"time"
)

// mixed is a settings.json of an earlier version, which held what is wanted too.
const mixed = `{
  "branch": "prod", "mode": "release", "config": {"COLOR": "red"}, "build_dir": "api", "buildpack": "./pack",
  "formation": {"web": 2, "worker": 0}, "limits": {"": {"memory": 1048576}}, "sleep": 60000000000, "grace": 3000000000,
  "prove": 0, "stopped": 3, "restarts": {"web": "a"}, "wake": "b", "cron": {"entry": 1, "token": "c"}
}`

var (
	mixedSettings = Settings{
		Branch:    "prod",
		Mode:      ByRelease,
		Config:    map[string]string{"COLOR": "red"},
		BuildDir:  "api",
		Buildpack: "./pack",
	}
	mixedWanted = Wanted{
		Formation: map[string]int{
			"web":    2,
			"worker": 0,
		},
		Limits:   map[string]Limits{"": {Memory: 1 << 20}},
		Sleep:    time.Minute,
		Grace:    3 * time.Second,
		Prove:    new(time.Duration),
		Stopped:  3,
		Restarts: map[string]string{"web": "a"},
		Wake:     "b",
		Cron:     CronRequest{Entry: 1, Token: "c"},
	}
)

// What an earlier version kept in settings.json is found there. No write loses it, whichever comes
// first, nor does a crash between the two files.
func TestMixedSettings(t *testing.T) {
	for name, write := range map[string]func(a App) error{
		"read":           func(a App) error { return nil },
		"settings first": func(a App) error { return a.SetSettings(mixedSettings) },
		"wanted first":   func(a App) error { return a.SetWanted(mixedWanted) },
		"a crash between the two": func(a App) error { // of SetSettings
			return a.splitWanted()
		},
		"both": func(a App) error {
			if err := a.SetWanted(mixedWanted); err != nil {
				return err
			}
			return a.SetSettings(mixedSettings)
		},
	} {
		a := testApp(t)
		if err := os.WriteFile(a.path("settings.json"), []byte(mixed), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := write(a); err != nil {
			t.Fatal(err)
		}
		if got, err := a.Settings(); err != nil || !reflect.DeepEqual(got, mixedSettings) {
			t.Errorf("%s: settings %+v, %v", name, got, err)
		}
		if got, err := a.Wanted(); err != nil || !reflect.DeepEqual(got, mixedWanted) {
			t.Errorf("%s: wanted %+v, %v", name, got, err)
		}
	}
}

// What was set last counts, not what an earlier version left in settings.json.
func TestWantedReplacesMixed(t *testing.T) {
	a := testApp(t)
	if err := os.WriteFile(a.path("settings.json"), []byte(mixed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := a.SetWanted(Wanted{}); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Wanted(); err != nil || !reflect.DeepEqual(got, Wanted{}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEmpty(t *testing.T) {
	for name, give := range map[string]func(a App) error{
		"nothing":  func(a App) error { return nil },
		"settings": func(a App) error { return a.SetSettings(Settings{Branch: "prod"}) },
		"wanted":   func(a App) error { return a.SetWanted(Wanted{Sleep: time.Minute}) },
		"source":   func(a App) error { return a.SetSource(Source{URL: "https://example.com/a.git"}) },
		"release":  func(a App) error { _, err := a.Publish(Release{}); return err },
	} {
		a := testApp(t)
		if err := give(a); err != nil {
			t.Fatal(err)
		}
		if empty, err := a.Empty(); err != nil || empty != (name == "nothing") {
			t.Errorf("%s: empty %v, %v", name, empty, err)
		}
	}
}
