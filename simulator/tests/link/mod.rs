//! A link that can be cut, between a server and its backend or between a client and its server.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A TCP relay that can be cut and mended.
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    whole: watch::Sender<bool>,
}

impl Link {
    pub(crate) async fn to(end: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("bound");
        let (whole, state) = watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut state = state.clone();
                if !*state.borrow() {
                    continue;
                }
                tokio::spawn(async move {
                    let relaying = async {
                        let mut upstream = TcpStream::connect(end).await?;
                        copy_bidirectional(&mut client, &mut upstream).await
                    };
                    tokio::select! {
                        _ = relaying => {}
                        _ = state.wait_for(|whole| !whole) => {}
                    }
                });
            }
        });
        Self { address, whole }
    }

    /// All its connections end, and new ones do so at once.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}
