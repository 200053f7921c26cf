package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"

	"paas/durable"
)

// Value is a setting and its value, as in the settings file.
type Value struct{ Key, Value string }

// Check returns an error for each bad value.
func Check(values ...Value) error {
	var errs []error
	for _, v := range values {
		for _, s := range table(&Config{}) {
			if s.key != v.Key {
				continue
			}
			if err := s.set(v.Value); err != nil {
				errs = append(errs, fmt.Errorf("%s: %q: %w", v.Key, v.Value, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Change writes values into the settings file at path, and reports whether the file is another one
// now. What else is in the file stays, comments too. A new file gets the mode 0600. If a value is
// bad, nothing is written.
func Change(path string, values ...Value) (changed bool, err error) {
	if err := Check(values...); err != nil {
		return false, err
	}
	mode := fs.FileMode(0o600)
	content, err := os.ReadFile(path)
	if info, statErr := os.Stat(path); statErr == nil {
		mode = info.Mode().Perm()
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	var file yaml.Node
	if err := yaml.Unmarshal(content, &file); err != nil {
		return false, fmt.Errorf("%s: %s", path, oneLine(err))
	}
	if file.Kind == 0 { // no settings yet; a comment alone is kept as it is
		if len(content) > 0 && content[len(content)-1] != '\n' {
			content = append(content, '\n')
		}
		var text []byte
		for _, v := range values {
			line, err := yaml.Marshal(map[string]string{v.Key: v.Value})
			if err != nil {
				return false, err
			}
			text = append(text, line...)
		}
		return true, write(path, append(content, text...), mode)
	}
	settings := file.Content[0]
	if settings.Kind != yaml.MappingNode {
		return false, fmt.Errorf("%s: there are no settings in it", path)
	}
	for _, v := range values {
		changed = set(settings, v) || changed
	}
	if !changed {
		return false, nil
	}
	text, err := yaml.Marshal(&file)
	if err != nil {
		return false, err
	}
	return true, write(path, text, mode)
}

// set sets one value of a file's settings, and reports whether it was another one.
func set(settings *yaml.Node, v Value) bool {
	for i := 0; i+1 < len(settings.Content); i += 2 {
		if at := settings.Content[i+1]; settings.Content[i].Value == v.Key {
			was := at.Value
			at.SetString(v.Value)
			return was != v.Value
		}
	}
	key, value := &yaml.Node{}, &yaml.Node{}
	key.SetString(v.Key)
	value.SetString(v.Value)
	settings.Content = append(settings.Content, key, value)
	return true
}

func write(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return durable.Replace(path, path+".new", content, mode)
}
