"""What the operating system tells about a process, and about everybody else."""
import os
import time

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
FOREIGN_MAX = 0.05


def cpu_seconds(pid):
    """Of all threads, ended ones too, by the process's own clock: clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | 2)


def kernel_seconds(pid):
    """Its part of them in the kernel; in ticks of 10 ms."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[12]) / CLOCK_TICKS


def _fields(path):
    """The "Name: 12 kB" lines of a file of /proc, in bytes."""
    out = {}
    with open(path) as file:
        for line in file:
            parts = line.split()
            if len(parts) == 3 and parts[2] == "kB":
                out[parts[0].rstrip(":")] = int(parts[1]) * 1024
    return out


def memory_bytes(pid):
    """(what cannot be dropped: anonymous, shared and dirty file pages; clean file pages)"""
    status = _fields(f"/proc/{pid}/status")
    rollup = _fields(f"/proc/{pid}/smaps_rollup")
    dirty = rollup.get("Private_Dirty", 0) + rollup.get("Shared_Dirty", 0)
    held = status.get("RssAnon", 0) + status.get("RssShmem", 0)
    dirty_file = max(0, dirty - rollup.get("Anonymous", 0))
    return held + dirty_file, max(0, status.get("RssFile", 0) - dirty_file)


def tree_bytes(folder, wanted=lambda path: True):
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            try:
                if wanted(os.path.relpath(path, folder)):
                    total += os.path.getsize(path)
            except OSError:
                pass  # removed meanwhile
    return total


def forget_files(folder):
    """Asks the kernel to drop the pages of all files below."""
    for root, _, names in os.walk(folder):
        for name in names:
            fd = os.open(os.path.join(root, name), os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def machine_busy_seconds():
    """Processor seconds, of all cores, not spent idle; stolen ones count."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / CLOCK_TICKS


class ForeignLoad:
    """Share of the machine that others used since it was made."""

    def __init__(self, pids):
        self.pids = pids
        self.start = time.monotonic(), machine_busy_seconds(), self._own()

    def _own(self):
        me = os.times()
        return sum(cpu_seconds(pid) for pid in self.pids) + me.user + me.system

    def share(self):
        wall, busy, own = self.start
        seconds = time.monotonic() - wall
        others = machine_busy_seconds() - busy - (self._own() - own)
        return max(0.0, others / seconds / os.cpu_count())
