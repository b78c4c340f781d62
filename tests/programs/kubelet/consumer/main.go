// Consumer is what runs in the containers: it uses its token all the time and writes down how that goes.
//
//	consumer              use the token until SIGTERM and for LINGER after it
//	consumer pause        sleep until SIGTERM: the sandbox of a pod
//
// The token is in the variable TOKEN, or the one that TOKEN_ENV names, or in the file that TOKEN_FILE names. With RELOAD=true that file is read again
// before each call. With COPY_TO the program is an init container: it writes the token there after three accepted calls and
// ends. With RUN it ends by itself after that time, as a Job does.
//
// Each event is one line of JSON in a file of its own in the folder TOLD. The file is locked while the process lives, so
// that its end can be seen from outside also when it was killed. Token values are never written, only fingerprints.
package main

import (
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	if len(os.Args) > 1 && os.Args[1] == "pause" {
		<-terminate
		return
	}
	if err := run(terminate); err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}

func run(terminate <-chan os.Signal) error {
	diary, err := openDiary()
	if err != nil {
		return err
	}
	caller, err := newCaller()
	if err != nil {
		return err
	}
	every, err := span("CALL_EVERY", 200*time.Millisecond)
	if err != nil {
		return err
	}
	linger, err := span("LINGER", 0)
	if err != nil {
		return err
	}
	ownEnd, err := span("RUN", 0)
	if err != nil {
		return err
	}

	token := readToken()
	diary.started(token)
	copyTo, accepted := os.Getenv("COPY_TO"), 0
	var end <-chan time.Time
	if ownEnd > 0 {
		end = time.After(ownEnd)
	}
	clock := time.NewTicker(every)
	for {
		select {
		case <-terminate:
			diary.note("asked to end")
			end = time.After(linger)
		case <-end:
			diary.note("ended")
			return nil
		case <-clock.C:
			if os.Getenv("RELOAD") == "true" {
				if now := readToken(); now != "" && now != token {
					token = now
					diary.reloaded(token)
				}
			}
			if token == "" {
				continue
			}
			status, err := caller.call(token)
			diary.called(token, status, err)
			if status == 200 {
				accepted++
			}
			if copyTo != "" && accepted >= 3 {
				diary.note("ended")
				return os.WriteFile(copyTo, []byte(token), 0o600)
			}
		}
	}
}

func readToken() string {
	if file := os.Getenv("TOKEN_FILE"); file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(content))
	}
	if name := os.Getenv("TOKEN_ENV"); name != "" {
		return os.Getenv(name)
	}
	return os.Getenv("TOKEN")
}

func span(name string, otherwise time.Duration) (time.Duration, error) {
	text := os.Getenv(name)
	if text == "" {
		return otherwise, nil
	}
	value, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("read the variable %s: %w", name, err)
	}
	return value, nil
}
