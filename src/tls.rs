//! TLS in front of the listeners: certificates and keys from PEM files, and whom a client's certificate
//! makes it.
//!
//! The cryptography is the provider that the process has installed (`kora_js::initialize`); there is no
//! second one. A handshake runs on the task of its connection and has a time of its own, so that nobody
//! waits for a client that does not go on with it. The files are looked at every few seconds: changed
//! ones count from the next connection on, ones that can't be used leave the old ones in place, with a
//! line in the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{
    ClientHello, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

use crate::config::tls::{CertificateUser, ClientCertificates, Presence, TlsSettings};
use crate::realtime::drain::Drain;

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{}: {source}", file.display())]
    File { file: PathBuf, source: pem::Error },
    #[error("{} has no certificate", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} and {} do not belong together: {source}", certificate.display(), key.display())]
    Identity { certificate: PathBuf, key: PathBuf, source: rustls::Error },
    #[error("`mtls` needs `certificateAuthority`, there or in `tls`")]
    NoAuthority,
    #[error("the certificates of clients can't be checked: {0}")]
    Verifier(#[from] VerifierBuilderError),
    #[error("the process has no cryptography")]
    NoCryptography,
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// Which protocols a listener speaks, as TLS negotiates them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http,
    /// Clients of MQTT negotiate nothing.
    Mqtt,
}

/// One listener's TLS.
pub(crate) struct Tls {
    settings: TlsSettings,
    clients: ClientCertificates,
    spoken: Spoken,
    config: ArcSwap<ServerConfig>,
}

/// A connection behind its handshake.
pub(crate) struct Secured {
    pub(crate) stream: TlsStream<TcpStream>,
    /// The user that the client's certificate names.
    pub(crate) username: Option<String>,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn load(
        settings: TlsSettings,
        clients: ClientCertificates,
        spoken: Spoken,
    ) -> Result<Arc<Tls>, TlsError> {
        let config = ArcSwap::from_pointee(load(&settings, &clients, spoken)?);
        Ok(Arc::new(Tls { settings, clients, spoken, config }))
    }

    /// Runs the handshake. Fails with `TimedOut` if the client does not go on.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Secured> {
        let acceptor = TlsAcceptor::from(self.config.load_full());
        let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        let certificates = stream.get_ref().1.peer_certificates();
        let username = certificates.and_then(|chain| self.username(chain.first()?));
        Ok(Secured { stream, username })
    }

    fn username(&self, certificate: &CertificateDer<'_>) -> Option<String> {
        match &self.clients {
            ClientCertificates::Ignored => None,
            ClientCertificates::Asked { user, .. } => match user {
                CertificateUser::CommonName => common_name(certificate),
                CertificateUser::Named(name) => Some(name.clone()),
                CertificateUser::Credentials => None,
            },
        }
    }

    /// Takes over changed files until the server stops.
    pub(crate) async fn keep_fresh(self: Arc<Self>, mut drain: Drain) {
        let mut known = self.times().await;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = drain.begun() => return,
            }
            let now = self.times().await;
            if now == known {
                continue;
            }
            known = now;
            let this = Arc::clone(&self);
            let loaded = tokio::task::spawn_blocking(move || {
                load(&this.settings, &this.clients, this.spoken)
            });
            match loaded.await {
                Ok(Ok(config)) => {
                    self.config.store(Arc::new(config));
                    tracing::info!("the changed certificate files are in use");
                }
                Ok(Err(error)) => {
                    tracing::error!("the old certificates stay in use, since {error}");
                }
                Err(error) => tracing::error!("reading the certificates failed: {error}"),
            }
        }
    }

    /// When each file was last changed; `None` for one that is not there.
    async fn times(self: &Arc<Self>) -> Vec<Option<SystemTime>> {
        let this = Arc::clone(self);
        let look = move || {
            let time = |file: &Path| std::fs::metadata(file).and_then(|file| file.modified()).ok();
            this.files().into_iter().map(time).collect()
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }

    fn files(&self) -> Vec<&Path> {
        let mut files: Vec<&Path> = Vec::new();
        for identity in &self.settings.identities {
            files.extend([identity.certificate.as_path(), identity.private_key.as_path()]);
            files.extend(identity.authority.as_deref());
        }
        if let ClientCertificates::Asked { authority: Some(authority), .. } = &self.clients {
            files.push(authority);
        }
        files
    }
}

fn load(
    settings: &TlsSettings,
    clients: &ClientCertificates,
    spoken: Spoken,
) -> Result<ServerConfig, TlsError> {
    let provider = CryptoProvider::get_default().cloned().ok_or(TlsError::NoCryptography)?;
    let mut identities = Vec::with_capacity(settings.identities.len());
    for identity in &settings.identities {
        let chain = certificates(&identity.certificate)?;
        let file = |source| TlsError::File { file: identity.private_key.clone(), source };
        let key = PrivateKeyDer::from_pem_file(&identity.private_key).map_err(file)?;
        let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|source| {
            let (certificate, key) = (identity.certificate.clone(), identity.private_key.clone());
            TlsError::Identity { certificate, key, source }
        })?;
        identities.push((identity.hosts.clone(), Arc::new(certified)));
    }
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?;
    let builder = match clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Asked { presence, authority, .. } => {
            let roots = Arc::new(authorities(settings, authority.as_deref())?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            builder.with_client_cert_verifier(match presence {
                Presence::Required => verifier.build()?,
                Presence::Optional => verifier.allow_unauthenticated().build()?,
            })
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(ByName(identities)));
    config.alpn_protocols = match spoken {
        Spoken::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Spoken::Mqtt => Vec::new(),
    };
    Ok(config)
}

fn authorities(settings: &TlsSettings, own: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let of_identities = settings.identities.iter().filter_map(|known| known.authority.as_deref());
    let files: Vec<&Path> = match own {
        Some(own) => vec![own],
        None => of_identities.collect(),
    };
    if files.is_empty() {
        return Err(TlsError::NoAuthority);
    }
    let mut roots = RootCertStore::empty();
    for file in files {
        for certificate in certificates(file)? {
            roots.add(certificate)?;
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::File { file: file.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(file).map_err(failed)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(file.to_owned()));
    }
    Ok(chain)
}

/// Certificates by the names of hosts.
#[derive(Debug)]
struct ByName(Vec<(Vec<String>, Arc<CertifiedKey>)>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name();
        let is_asked = |hosts: &Vec<String>| {
            asked.is_some_and(|asked| hosts.iter().any(|host| covers(host, asked)))
        };
        let found = self.0.iter().find(|(hosts, _)| is_asked(hosts)).or_else(|| self.0.first());
        found.map(|(_, key)| Arc::clone(key))
    }
}

/// Whether a name, or a pattern such as `*.example.com`, is that of a host.
fn covers(name: &str, host: &str) -> bool {
    match name.strip_prefix("*.") {
        Some(parent) => {
            host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent))
        }
        None => name.eq_ignore_ascii_case(host),
    }
}

/// The common name of a certificate's subject.
fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let mut names = certificate.subject().iter_common_name();
    names.next()?.as_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_hosts_are_compared_as_certificates_do() {
        for (name, host, covered) in [
            ("a.org", "A.org", true),
            ("*.a.org", "b.a.org", true),
            ("*.a.org", "a.org", false),
            ("*.a.org", "c.b.a.org", false),
            ("a.org", "b.org", false),
        ] {
            assert_eq!(covers(name, host), covered, "{name} {host}");
        }
    }
}
