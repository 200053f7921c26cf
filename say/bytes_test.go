package say

import "testing"

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 6: "6 bytes", 34_120: "34 kB", 999_600: "1.0 MB", 4_200_000: "4.2 MB",
		7_000_000_001: "7.0 GB", 64 << 20: "67.1 MB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

func TestLimit(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 100: "100 bytes", 64 << 10: "64 KiB", 512 << 20: "512 MiB", 2 << 30: "2 GiB",
		4_200_000: "4.2 MB",
	} {
		if got := Limit(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}
