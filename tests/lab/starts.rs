//! Every program a host starts, told by the kernel: none can slip by, however short it lives.
//!
//! A host's file system is marked with fanotify, and a start waits until it was written down with its control group. So it is
//! known who asked for it: what SSH brought is told from what the host does by itself.

use std::fs;
use std::os::fd::AsFd;
use std::thread::JoinHandle;

use nix::sys::fanotify::EventFFlags;
use nix::sys::fanotify::Fanotify;
use nix::sys::fanotify::FanotifyResponse;
use nix::sys::fanotify::InitFlags;
use nix::sys::fanotify::MarkFlags;
use nix::sys::fanotify::MaskFlags;
use nix::sys::fanotify::Response;

use super::Lab;

/// The program whose start ends a watch; a host never starts it by itself.
const LAST: &str = "/usr/bin/factor";

/// One program start.
#[derive(Debug, Clone)]
pub struct Start {
    pub program: String,
    /// The control group in the host.
    pub group: String,
}

/// Watches a host until it is asked what it has seen.
pub struct Watch<'a> {
    lab: &'a Lab,
    host: String,
    thread: JoinHandle<Vec<Start>>,
}

impl<'a> Watch<'a> {
    pub fn begin(lab: &'a Lab, testbed: &str, host: &str) -> Watch<'a> {
        let status = tbctl::lab::status(testbed).unwrap();
        let pid = status.hosts.iter().find(|found| found.name == host).unwrap().pid.unwrap();
        let group = Fanotify::init(
            InitFlags::FAN_CLOEXEC | InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_UNLIMITED_QUEUE,
            EventFFlags::O_RDONLY,
        );
        let group = group.unwrap();
        let root = fs::File::open(format!("/proc/{pid}/root")).unwrap();
        let mark = MarkFlags::FAN_MARK_ADD | MarkFlags::FAN_MARK_FILESYSTEM;
        group.mark(mark, MaskFlags::FAN_OPEN_EXEC_PERM, root.as_fd(), Some(".")).unwrap();
        let thread = std::thread::spawn(move || listen(&group));
        Watch { lab, host: host.to_string(), thread }
    }

    /// What was started by way of SSH, after the server's own processes.
    pub fn over_ssh(self) -> Vec<Start> {
        self.lab.ok(&["lab", "exec", self.lab.inv(), &self.host, "--", LAST, "1"]);
        let all = self.thread.join().unwrap();
        let ours = |start: &Start| {
            let ssh = start.group.contains("ssh") || start.group.contains("session-");
            ssh && !start.program.contains("/sshd")
        };
        all.into_iter().filter(ours).collect()
    }
}

fn listen(group: &Fanotify) -> Vec<Start> {
    let mut starts = Vec::new();
    let mut over = false;
    while !over {
        for event in group.read_events().unwrap() {
            let Some(file) = event.fd() else { continue };
            let program = fs::read_link(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file)));
            let program = program.unwrap().display().to_string();
            let group_of = fs::read_to_string(format!("/proc/{}/cgroup", event.pid())).unwrap_or_default();
            group.write_response(FanotifyResponse::new(file, Response::FAN_ALLOW)).unwrap();
            over |= program == LAST;
            // The loader is opened once more for every program.
            if !program.contains("/ld-linux") {
                starts.push(Start { program, group: group_of.trim().to_string() });
            }
        }
    }
    starts
}
