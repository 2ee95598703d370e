package devpg

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// childAttributes makes the kernel send the child a fast shutdown when the thread that started it ends.
func childAttributes(who account) *syscall.SysProcAttr {
	attr := unixAttributes(who)
	attr.Pdeathsig = syscall.SIGINT
	return attr
}

// commandLine returns a living process's arguments; a process that has ended but is not reaped yet has none.
func commandLine(pid int) ([]string, error) {
	text, err := os.ReadFile(processFile(pid, "cmdline"))
	if err != nil {
		return nil, err
	}
	if len(text) == 0 {
		return nil, os.ErrProcessDone
	}
	return strings.Split(string(bytes.TrimRight(text, "\x00")), "\x00"), nil
}

// tick is the unit of times in /proc/PID/stat, the same on every architecture Go supports.
const tick = 10 * time.Millisecond

// cpuTime adds what the postmaster's ended children have used to what it and its living children have. The first is
// known in ticks, the second in nanoseconds. A child that ends in between would be missed or counted twice, so the
// reading is repeated until none did.
func cpuTime(postmaster int) (time.Duration, error) {
	const tries = 10
	before, err := readStat(postmaster)
	if err != nil {
		return 0, err
	}
	for range tries {
		living, err := livingTime(postmaster)
		if err != nil {
			return 0, err
		}
		after, err := readStat(postmaster)
		if err != nil {
			return 0, err
		}
		if after.reaped == before.reaped {
			return after.reaped + living, nil
		}
		before = after
	}
	return 0, errors.New("sessions end too fast to be counted")
}

// livingTime returns what the postmaster and its living children have used.
func livingTime(postmaster int) (time.Duration, error) {
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return 0, err
	}
	var total time.Duration
	for _, path := range processes {
		pid, err := strconv.Atoi(filepath.Base(path))
		if err != nil {
			continue
		}
		stat, err := readStat(pid)
		if err == nil && (pid == postmaster || stat.parent == postmaster) {
			total += runTime(pid, stat)
		}
	}
	return total, nil
}

// stat is what is needed of /proc/PID/stat.
type stat struct {
	parent      int
	own, reaped time.Duration
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(processFile(pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	// The second field is the program's name in parentheses and may hold anything, so count from its end.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const parent, user, system, userReaped, systemReaped = 1, 11, 12, 13, 14
	if len(fields) <= systemReaped {
		return stat{}, fmt.Errorf("stat of process %d not understood", pid)
	}
	var numbers [systemReaped + 1]int64
	for _, i := range []int{parent, user, system, userReaped, systemReaped} {
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return stat{}, errors.Join(fmt.Errorf("stat of process %d not understood", pid), err)
		}
		numbers[i] = n
	}
	return stat{
		parent: int(numbers[parent]),
		own:    time.Duration(numbers[user]+numbers[system]) * tick,
		reaped: time.Duration(numbers[userReaped]+numbers[systemReaped]) * tick,
	}, nil
}

// runTime returns the process's own time, precisely where the kernel keeps scheduler statistics.
func runTime(pid int, s stat) time.Duration {
	text, err := os.ReadFile(processFile(pid, "schedstat"))
	if err != nil {
		return s.own
	}
	first, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	if err != nil || ns == 0 {
		return s.own
	}
	return time.Duration(ns)
}

func processFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
