//! JSON-RPC 1.0 over a Unix socket, which both protocols of Open vSwitch are made of: OVSDB (RFC 7047 section 4)
//! and appctl (ovs-appctl(8), "unixctl").
//!
//! Ready-made clients exist: `rovs-ovsdb` brings a TLS library, which is built from C, to a Unix socket, and
//! `ovs-unixctl` is under the LGPL.

use serde_json::de::{IoRead, StreamDeserializer};
use serde_json::{Deserializer, Value, json};
use std::io::{self, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A connection to a server.
pub struct Connection {
    socket: UnixStream,
    messages: StreamDeserializer<'static, IoRead<BufReader<UnixStream>>, Value>,
    last_id: u64,
}

impl Connection {
    /// Connects to the server at `path`, which may take `patience` to answer.
    pub fn open(path: &Path, patience: Duration) -> io::Result<Self> {
        let socket = UnixStream::connect(path)?;
        socket.set_read_timeout(Some(patience))?;
        socket.set_write_timeout(Some(patience))?;
        let reader = BufReader::new(socket.try_clone()?);
        Ok(Self {
            socket,
            messages: Deserializer::from_reader(reader).into_iter(),
            last_id: 0,
        })
    }

    /// Calls a method and returns its result, or what the server or the connection has against it, in words.
    pub fn call(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.ask(method, params)?;
        self.answer()
    }

    /// Calls a method, whose result [`Self::answer`] waits for.
    pub fn ask(&mut self, method: &str, params: &Value) -> Result<(), String> {
        self.last_id += 1;
        let request = json!({"method": method, "params": params, "id": self.last_id});
        self.send(&request)
    }

    /// Waits for what the method came to that was called last.
    pub fn answer(&mut self) -> Result<Value, String> {
        loop {
            let mut message = match self.messages.next() {
                Some(message) => message.map_err(|error| error.to_string())?,
                None => return Err("the server closed the connection".to_owned()),
            };
            if message["method"] == "echo" {
                // RFC 7047 section 4.1.11: an echo is answered with its own parameters.
                let (id, result) = (&message["id"], &message["params"]);
                self.send(&json!({"id": id, "result": result, "error": null}))?;
            } else if message["id"] == self.last_id {
                return match message["error"].take() {
                    Value::Null => Ok(message["result"].take()),
                    Value::String(error) => Err(error.trim().to_owned()),
                    error => Err(error.to_string()),
                };
            }
        }
    }

    fn send(&mut self, message: &Value) -> Result<(), String> {
        let text = message.to_string();
        let sent = self.socket.write_all(text.as_bytes());
        sent.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixListener;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// What a client gets from a server that answers its one request with `answer`, and what the server read.
    fn talk(answer: &str) -> (Result<Value, String>, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::scope(|scope| {
            let server = scope.spawn(move || {
                let (mut client, _) = listener.accept().unwrap();
                client.write_all(answer.as_bytes()).unwrap();
                client.shutdown(std::net::Shutdown::Write).unwrap();
                let mut read = String::new();
                client.read_to_string(&mut read).unwrap();
                read
            });
            let mut connection = Connection::open(&path, PATIENCE).unwrap();
            let result = connection.call("method", &json!(["a"]));
            drop(connection);
            (result, server.join().unwrap())
        })
    }

    #[test]
    fn results_errors_and_echoes() {
        let (result, read) = talk(r#"{"id":1,"result":"yes","error":null}"#);
        assert_eq!(result, Ok(json!("yes")));
        assert_eq!(
            serde_json::from_str::<Value>(&read).unwrap(),
            json!({"method": "method", "params": ["a"], "id": 1})
        );
        let (result, _) = talk(r#"{"id":1,"result":null,"error":"unknown command\n"}"#);
        assert_eq!(result, Err("unknown command".to_owned()));
        let (result, read) = talk(
            r#"{"method":"echo","params":["x"],"id":"e"}{"id":9,"result":1}{"id":1,"result":2,"error":null}"#,
        );
        assert_eq!(result, Ok(json!(2)));
        assert!(read.contains(r#""result":["x"]"#), "{read}");
    }

    #[test]
    fn a_server_that_goes_or_babbles_is_told() {
        assert!(talk("").0.unwrap_err().contains("closed"));
        assert!(talk("nonsense").0.is_err());
        assert!(talk(r#"{"id":1,"#).0.is_err());
    }
}
