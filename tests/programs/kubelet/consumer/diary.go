package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// diary is the file in which one process writes down what happens to it.
type diary struct {
	lines *json.Encoder
}

// line is what the test kit reads; see src/testkit/kubelet/diary.rs.
type line struct {
	At    time.Time `json:"at"`
	Event string    `json:"event"`
	// Fingerprint: the first 12 hex digits of the SHA-256 of the value.
	Token   string `json:"token,omitempty"`
	Status  int    `json:"status,omitempty"`
	Problem string `json:"problem,omitempty"`
}

func openDiary() (*diary, error) {
	folder := os.Getenv("TOLD")
	seat := fmt.Sprintf("%s_%s_%s_%s", os.Getenv("POD_NAMESPACE"), os.Getenv("POD_NAME"), os.Getenv("POD_UID"), os.Getenv("CONTAINER"))
	// Opened under another name and locked before it is seen, so that nobody takes an unlocked file for a dead process.
	hidden := filepath.Join(folder, fmt.Sprintf(".%s_%d", seat, time.Now().UnixNano()))
	file, err := os.OpenFile(hidden, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", hidden, err)
	}
	return &diary{lines: json.NewEncoder(file)}, os.Rename(hidden, filepath.Join(folder, filepath.Base(hidden)[1:]))
}

func (d *diary) started(token string)  { d.write(line{Event: "started", Token: fingerprint(token)}) }
func (d *diary) reloaded(token string) { d.write(line{Event: "reloaded", Token: fingerprint(token)}) }
func (d *diary) note(event string)     { d.write(line{Event: event}) }

func (d *diary) called(token string, status int, err error) {
	entry := line{Event: "called", Token: fingerprint(token), Status: status}
	if err != nil {
		entry.Status, entry.Problem = 0, err.Error()
	}
	d.write(entry)
}

// A line that cannot be written ends the process: a silent consumer would count as a content one.
func (d *diary) write(entry line) {
	entry.At = time.Now().UTC()
	if err := d.lines.Encode(entry); err != nil {
		fmt.Fprintln(os.Stderr, "consumer: write down", entry.Event, err)
		os.Exit(1)
	}
}

func fingerprint(token string) string {
	if token == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:6])
}
