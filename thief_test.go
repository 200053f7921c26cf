package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The programs of testdata/ports: an app, another that is after its visitors, and a visitor. They meet in the folder
// $TESTAPP_DIR, where the script says in the file "attack" what the thief does with a port that the victim is given:
//
//	listen HOST    listen there
//	share HOST     listen there with SO_REUSEPORT
//	bind HOST      have the port there, and not listen
//	all            listen on every free port of the range, on all addresses
//
// What the thief does it writes to "taken.PORT"; whatever it reads from others' visitors, to "stolen".

// seen is a file of the folder.
func seen(name string) string { return filepath.Join(os.Getenv("TESTAPP_DIR"), name) }

// note writes a file of the folder whole.
func note(name, text string) {
	temp := seen(fmt.Sprintf(".%s.%d", name, os.Getpid()))
	if err := os.WriteFile(temp, []byte(text), 0o666); err != nil {
		log.Fatal(err)
	}
	if err := os.Rename(temp, seen(name)); err != nil {
		log.Fatal(err)
	}
}

func noted(name string) (text string, there bool) {
	content, err := os.ReadFile(seen(name))
	return strings.TrimSpace(string(content)), err == nil
}

// victim is an app that says so. Before it listens it waits for the thief, if there is to be an attack. It ends at once
// where there is the file "die". The file "port" has the port of the last one that began to answer.
func victim() {
	host := flag.String("host", "127.0.0.1", "listen there; 6 is all addresses of IPv6 alone")
	share := flag.Bool("share", false, "set SO_REUSEPORT")
	hide := flag.Bool("hide", false, "serve in a process with another session, another parent and another environment")
	flag.Parse()
	port := os.Getenv("PORT")
	if *hide {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"PORT=" + port, "TESTAPP_DIR=" + os.Getenv("TESTAPP_DIR"), "PARENT=" + strconv.Itoa(os.Getpid())}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			log.Fatal(err)
		}
		return
	}
	for os.Getenv("PARENT") == strconv.Itoa(os.Getppid()) { // it is not hidden yet
		time.Sleep(time.Millisecond)
	}
	if _, attack := noted("attack"); attack {
		note("wanted."+port, "")
		for there := false; !there; time.Sleep(time.Millisecond) {
			_, there = noted("taken." + port)
		}
	}
	network, addr := "tcp", *host
	if addr == "6" {
		network, addr = "tcp6", "::"
	}
	l, err := listenOn(network, net.JoinHostPort(addr, port), *share)
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		for ; ; time.Sleep(time.Millisecond) {
			if os.Remove(seen("die")) == nil {
				os.Exit(3)
			}
			if _, err := os.Stat(seen("")); err != nil { // the script is over, and nobody finds who hides
				os.Exit(0)
			}
		}
	}()
	first := sync.OnceFunc(func() { note("port", port) })
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		first()
		io.WriteString(w, "victim\n")
	})
	server := http.Server{}
	server.SetKeepAlivesEnabled(false) // so that the front door opens a connection for each request
	log.Fatal(server.Serve(l))
}

func listenOn(network, addr string, share bool) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		if share {
			raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		}
		return err
	}}
	return config.Listen(context.Background(), network, addr)
}

// thief is an app that goes for every port that is noted as wanted. For one that is noted as "spin.PORT" it tries until
// it has it.
func thief() {
	signal.Ignore(syscall.SIGTERM) // it does not give up before it is killed
	go http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "thief\n")
	}))
	done := map[string]bool{}
	for ; ; time.Sleep(time.Millisecond) {
		files, _ := filepath.Glob(seen("*.[1-9]*"))
		for _, file := range files {
			kind, port, _ := strings.Cut(filepath.Base(file), ".")
			if done[file] || kind != "wanted" && kind != "spin" {
				continue
			}
			done[file] = true
			attack, _ := noted("attack")
			if kind == "wanted" {
				note("taken."+port, fmt.Sprint(take(attack, port)))
				continue
			}
			note("ready."+port, "")
			go func() {
				for take(attack, port) != nil {
				}
				note("taken."+port, "")
			}()
		}
	}
}

// take does to the port what attack says.
func take(attack, port string) error {
	verb, host, _ := strings.Cut(attack, " ")
	host = cmp.Or(host, "::")
	switch verb {
	case "bind":
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err == nil {
			var number int
			fmt.Sscan(port, &number)
			err = unix.Bind(fd, &unix.SockaddrInet4{Port: number, Addr: [4]byte(net.ParseIP(host).To4())})
		}
		return err
	case "all":
		for number := 20000; number <= 31999; number++ {
			steal("listen", net.JoinHostPort(host, fmt.Sprint(number)))
		}
		return nil
	}
	return steal(verb, net.JoinHostPort(host, port))
}

// steal listens, and notes what it is sent.
func steal(verb, addr string) error {
	l, err := listenOn("tcp", addr, verb == "share")
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buffer := make([]byte, 4096)
				if n, _ := conn.Read(buffer); n > 0 {
					note("stolen", string(buffer[:n]))
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nstolen\n")
				}
			}()
		}
	}()
	return nil
}

// visitor asks the app that it is given the name of, again and again, until there is the file "enough". It prints each answer
// that differs from the one before.
func visitor() {
	last := ""
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for there := false; !there; _, there = noted("enough") {
		time.Sleep(time.Millisecond)
		request, err := http.NewRequest("GET", "http://127.0.0.1:"+os.Getenv("HTTPPORT")+"/", nil)
		if err != nil {
			log.Fatal(err)
		}
		request.Host = os.Args[1] + ".localhost"
		request.Header.Set("Cookie", "session=secret")
		answer, err := client.Do(request)
		if err != nil {
			continue // the front door is there all the time
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if said := fmt.Sprintf("%d %.20q\n", answer.StatusCode, body); said != last {
			fmt.Print(said)
			last = said
		}
	}
}
