//! Ports for servers that are about to start. Between the choice of a port and the moment when the server listens there, nobody else must come by
//! it: a stranger who answers there would be judged in the server's place.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher as _,
    io,
    net::{Ipv4Addr, TcpListener},
    os::{linux::net::SocketAddrExt as _, unix::net},
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::net::TcpStream;

use super::address::Address;

/// Below this, well-known services live.
const LOWEST: u16 = 10_000;
/// So many ports between that and those that the kernel gives away are enough to choose from; else the kernel is asked for one.
const CHOICE_MIN: u16 = 1_000;
/// From here on the kernel gives ports to whoever asks for any, and to outgoing connections, where it does not say otherwise.
const KERNELS_OWN: u16 = 32_768;

/// Where this process looks next, from a place that is another one in each process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port of this machine that is free, and kept out of others' hands as long as this lives: the kernel gives it to nobody who does not ask for
/// exactly this one, and no other chatwright chooses it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    /// A name that only one process of this machine can have; it is gone with the process, however that ends.
    _claim: net::UnixDatagram,
}

impl Port {
    /// One that nobody has.
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve() -> io::Result<Self> {
        let end = kernels_own();
        let choice = end.saturating_sub(LOWEST);
        if choice < CHOICE_MIN {
            return Self::of_the_kernel();
        }
        if NEXT.load(Ordering::Relaxed) == 0 {
            let anywhere = RandomState::new().hash_one(std::process::id()) % u64::from(choice) + 1;
            let anywhere = u32::try_from(anywhere).unwrap_or(1);
            let _others_place = NEXT.compare_exchange(0, anywhere, Ordering::Relaxed, Ordering::Relaxed);
        }
        for _ in 0..choice {
            let at = NEXT.fetch_add(1, Ordering::Relaxed) % u32::from(choice);
            let number = LOWEST + u16::try_from(at).expect("less than the choice");
            if let Some(claim) = claim(number)
                && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
            {
                return Ok(Self { number, _claim: claim });
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("each port from {LOWEST} to {end} is taken")))
    }

    /// One that was free a moment ago, where the kernel gives all of them away.
    fn of_the_kernel() -> io::Result<Self> {
        loop {
            let number = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            if let Some(claim) = claim(number) {
                return Ok(Self { number, _claim: claim });
            }
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }
}

/// The first of these listeners that answers, and its port. Before we have started anything it belongs to somebody else: judging that would be a
/// lie.
pub(super) async fn answering(urls: impl Iterator<Item = &str>) -> Result<Option<(String, u16)>, String> {
    for url in urls {
        let address = Address::parse(url)?;
        if TcpStream::connect((address.host.as_str(), address.port)).await.is_ok() {
            return Ok(Some((url.to_owned(), address.port)));
        }
    }
    Ok(None)
}

/// `None`: somebody has claimed it.
fn claim(number: u16) -> Option<net::UnixDatagram> {
    let name = std::os::unix::net::SocketAddr::from_abstract_name(format!("chatwright port {number}")).ok()?;
    net::UnixDatagram::bind_addr(&name).ok()
}

/// The first of the ports that the kernel gives away.
fn kernels_own() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or(KERNELS_OWN)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_are_free_and_each_is_had_by_one_only() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().expect("a port")).collect();
        let numbers: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 50);
        for port in &ports {
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port.number())).is_ok(), "{port:?}");
            assert!(claim(port.number()).is_none(), "{port:?}");
        }
        let one = ports[0].number();
        drop(ports);
        assert!(claim(one).is_some());
    }

    #[test]
    fn the_kernel_gives_none_of_them_to_who_asks_for_any() {
        let own = kernels_own();
        if own >= LOWEST + CHOICE_MIN {
            assert!((LOWEST..own).contains(&Port::reserve().expect("a port").number()));
        }
    }
}
