//! Whose container is it? A process on this machine, told apart from later ones with the same number.

use std::fmt;

/// The process that started a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// Which run of which kernel, and which process namespace: others cannot be judged from here.
    place: String,
    pid: u32,
    /// When the process was started, in ticks since the kernel was.
    started: String,
}

impl Owner {
    /// This process. Where there is no `/proc`, nobody can be judged and nothing is ever removed.
    pub(super) fn this_process() -> Self {
        let pid = std::process::id();
        Self { place: place().unwrap_or_default(), pid, started: started(pid).unwrap_or_default() }
    }

    pub(super) fn parse(label: &str) -> Option<Self> {
        let mut parts = label.splitn(3, ' ');
        let (pid, started, place) = (parts.next()?.parse().ok()?, parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Self { place, pid, started })
    }

    /// Whether this process ran here and does not any more.
    pub(super) fn is_surely_gone(&self) -> bool {
        let here = place();
        here.is_some_and(|here| here == self.place) && started(self.pid).is_none_or(|started| started != self.started)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.pid, self.started, self.place)
    }
}

fn place() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

/// Field 22 of `/proc/PID/stat`. The second field, the name, may hold blanks and brackets.
fn started(pid: u32) -> Option<String> {
    const FIELDS_BEHIND_THE_NAME: usize = 19;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, behind_the_name) = stat.rsplit_once(") ")?;
    behind_the_name.split(' ').nth(FIELDS_BEHIND_THE_NAME).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_survives_its_label_and_is_not_gone() {
        let owner = Owner::this_process();
        assert_eq!(Owner::parse(&owner.to_string()), Some(owner.clone()));
        assert!(!owner.is_surely_gone());
    }

    #[test]
    fn a_process_that_ended_is_gone_even_when_its_number_is_in_use_again() {
        let this = Owner::this_process();
        assert!(Owner { started: "1".to_owned(), ..this.clone() }.is_surely_gone());
        assert!(Owner { pid: u32::MAX, ..this }.is_surely_gone());
    }

    #[test]
    fn a_process_of_another_machine_is_left_alone() {
        let owner = Owner { place: "another kernel".to_owned(), pid: u32::MAX, started: "1".to_owned() };
        assert!(!owner.is_surely_gone());
        assert_eq!(Owner::parse("words"), None);
    }
}
