package command

import "testing"

func TestSpelling(t *testing.T) {
	memory := func(s string) any { n, err := parseMemory(s); return either(n, err) }
	cpu := func(s string) any { n, err := parseCPU(s, 4); return either(n, err) }
	processes := func(s string) any { n, err := parseProcesses(s); return either(n, err) }
	for _, c := range []struct {
		parse func(string) any
		in    string
		want  any
	}{
		{memory, "256M", int64(256 << 20)}, {memory, "256m", int64(256 << 20)}, {memory, "256MB", int64(256 << 20)}, {memory, "256MiB", int64(256 << 20)},
		{memory, "256 mb", int64(256 << 20)}, {memory, "1.5G", int64(3 << 29)}, {memory, "1Gi", `memory is a size such as 256M or 1.5G, not "1Gi"`},
		{memory, "20000K", int64(20000 << 10)}, {memory, "16.001M", int64(16<<20 + 0)}, {memory, "1T", int64(1 << 40)},
		{memory, "15M", "memory is from 16M to 1T, not 15M"}, {memory, "2T", "memory is from 16M to 1T, not 2T"},
		{memory, "99999999999999999999999G", "memory is from 16M to 1T, not 99999999999999999999999G"},
		{memory, "256", "memory=256 has no unit; write memory=256M for 256 MB"}, {memory, "-1G", `memory is a size such as 256M or 1.5G, not "-1G"`},
		{memory, "1e3M", `memory is a size such as 256M or 1.5G, not "1e3M"`}, {memory, "M", `memory is a size such as 256M or 1.5G, not "M"`},
		{cpu, "0.5", 0.5}, {cpu, "4", 4.0}, {cpu, "0.01", 0.01}, {cpu, "4.1", "cpu is from 0.01 to 4, the cores of this server, not 4.1"},
		{cpu, "0.001", "cpu is from 0.01 to 4, the cores of this server, not 0.001"}, {cpu, "NaN", "cpu is from 0.01 to 4, the cores of this server, not NaN"},
		{cpu, "inf", "cpu is from 0.01 to 4, the cores of this server, not inf"}, {cpu, "half", `cpu is a number of cores, such as 0.5 for half of one, not "half"`},
		{processes, "100", 100}, {processes, "4", "processes is from 5 to 100000, threads included, not 4"},
		{processes, "+10", `processes is a number such as 100, not "+10"`}, {processes, "1e2", `processes is a number such as 100, not "1e2"`},
		{processes, "", `processes is a number such as 100, not ""`},
	} {
		if got := c.parse(c.in); got != c.want {
			t.Errorf("%q: %v, not %v", c.in, got, c.want)
		}
	}
	for bytes, want := range map[int64]string{256 << 20: "256M", 3 << 29: "1536M", 1 << 30: "1G", 1 << 40: "1T", 20_000 << 10: "20000K"} {
		if got := memoryText(bytes); got != want {
			t.Errorf("%d: %s", bytes, got)
		}
	}
}

func either(n any, err error) any {
	if err != nil {
		return err.Error()
	}
	return n
}

// What is shown as a size is read as the same.
func FuzzMemory(f *testing.F) {
	f.Add("256M")
	f.Add("16.5 mib")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseMemory(s)
		if err != nil {
			return
		}
		again, err := parseMemory(memoryText(n))
		if again != n || err != nil || n < minMemory || n > maxMemory {
			t.Errorf("%q is %d, shown as %s: %d, %v", s, n, memoryText(n), again, err)
		}
	})
}
