//! A way to a server that can be frozen: what was connected stays so and carries
//! nothing any more, as behind a router that has lost its state.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) struct Proxy {
    pub(crate) url: String,
    /// Connections of an earlier generation are frozen.
    generation: Arc<AtomicUsize>,
}

impl Proxy {
    pub(crate) fn to(url: &str) -> Self {
        let target = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let generation = Arc::new(AtomicUsize::new(0));
        let current = Arc::clone(&generation);
        std::thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&target) else {
                    continue;
                };
                let (near2, far2) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                copy(near, far2, Arc::clone(&current));
                copy(far, near2, Arc::clone(&current));
            }
        });
        Self { url, generation }
    }

    pub(crate) fn freeze(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, current: Arc<AtomicUsize>) {
    let born = current.load(Ordering::SeqCst);
    std::thread::spawn(move || {
        let mut buffer = [0; 16384];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let frozen = current.load(Ordering::SeqCst) != born;
            if !frozen && to.write_all(&buffer[..count]).is_err() {
                return;
            }
        }
    });
}
