//! TLS beneath HTTP/1.1: keys from files, and a session that encrypts on a stream whose readers and writers do not wait.

use std::{
    fmt,
    io::{self, IoSlice, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use rustls::{
    ServerConfig, ServerConnection,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// What both sides speak behind the handshake; nothing else is offered.
const PROTOCOL: &[u8] = b"http/1.1";

/// A listener's certificate and key. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
}

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read, or holds no PEM of its kind.
    #[error("failed to read {}: {reason}; PEM is expected", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// They do not fit each other.
    #[error("the certificate and the key cannot be used: {0}")]
    Unfit(#[from] rustls::Error),
}

impl Tls {
    /// With the certificate chain and the private key in these PEM files.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let failed = |path: &Path, reason: String| TlsError::File { path: path.to_owned(), reason };
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|problem| failed(certificate, problem.to_string()))?;
        if chain.is_empty() {
            return Err(failed(certificate, "it holds no certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_file(key).map_err(|problem| failed(key, problem.to_string()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Self { config: Arc::new(config) })
    }

    pub(super) fn session(&self) -> io::Result<Session> {
        let connection = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        Ok(Session { connection: Mutex::new(connection) })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The stream underneath: never waits, says [`io::ErrorKind::WouldBlock`] instead, and counts.
pub(super) trait Raw {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn send(&self, bytes: &[u8]) -> io::Result<usize>;
}

/// One connection's encryption. What is encrypted but not taken by the system waits inside, and nothing more is encrypted before it is gone.
#[derive(Debug)]
pub(super) struct Session {
    connection: Mutex<ServerConnection>,
}

impl Session {
    /// Reads what is there; 0: the end.
    pub(super) fn read(&self, raw: &impl Raw, buffer: &mut [u8]) -> io::Result<usize> {
        let mut connection = self.connection();
        loop {
            match connection.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0), // an end without a word
                read => return read,
            }
            let is_end = connection.read_tls(&mut Reading(raw))? == 0;
            let understood = connection.process_new_packets();
            let said = flush(&mut connection, raw); // the handshake's answers, or what was wrong
            understood.map_err(|problem| io::Error::new(io::ErrorKind::InvalidData, problem))?;
            match said {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Ok(()) | Err(_) => {} // whoever writes next sends it
            }
            if is_end {
                return Ok(0);
            }
        }
    }

    /// Encrypts as much as fits and sends it, unless something older still waits.
    pub(super) fn write(&self, raw: &impl Raw, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut connection = self.connection();
        flush(&mut connection, raw)?;
        let bytes = connection.writer().write_vectored(slices)?;
        match flush(&mut connection, raw) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            Ok(()) | Err(_) => Ok(bytes),
        }
    }

    /// Sends what waits.
    pub(super) fn flush(&self, raw: &impl Raw) -> io::Result<()> {
        flush(&mut self.connection(), raw)
    }

    /// Says that nothing more comes.
    pub(super) fn finish(&self, raw: &impl Raw) -> io::Result<()> {
        let mut connection = self.connection();
        connection.send_close_notify();
        flush(&mut connection, raw)
    }

    fn connection(&self) -> MutexGuard<'_, ServerConnection> {
        self.connection.lock().expect("no code panics while it encrypts")
    }
}

fn flush(connection: &mut ServerConnection, raw: &impl Raw) -> io::Result<()> {
    while connection.wants_write() {
        connection.write_tls(&mut Sending(raw))?;
    }
    Ok(())
}

struct Reading<'a, R>(&'a R);

impl<R: Raw> io::Read for Reading<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.receive(buffer)
    }
}

struct Sending<'a, R>(&'a R);

impl<R: Raw> io::Write for Sending<'_, R> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(()) // nothing is kept here
    }
}
