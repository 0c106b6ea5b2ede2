//! TLS: `tls`, `http.securePort`, `http.mtls`, `mqtt.network.securePort` and `mqtt.network.mtls` of the
//! root configuration (`spec/harper-components.md` section 5, `spec/harper-realtime.md` section 8).

use std::path::{Path, PathBuf};

use serde_yaml_ng::Value;

use super::component::ConfigError;
use super::root::RootConfig;

/// `tls`: who the server says that it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsSettings {
    /// At most one without `host` makes sense; a client that names no known host gets the first.
    pub identities: Vec<Identity>,
}

/// A certificate with its key, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The server's certificate and those between it and an authority.
    pub certificate: PathBuf,
    pub private_key: PathBuf,
    /// Who signs the certificates of clients.
    pub authority: Option<PathBuf>,
    /// The names for which it is used, `*.example.com` for those below one.
    pub hosts: Vec<String>,
}

/// `mtls` of a protocol: what certificates of clients are worth.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClientCertificates {
    /// They are not asked for.
    #[default]
    Ignored,
    Asked {
        /// Whether a client without one is refused.
        presence: Presence,
        user: CertificateUser,
        /// Who signs them; the authority of `tls` if it is not given.
        authority: Option<PathBuf>,
    },
}

/// Where a protocol is spoken behind TLS: `securePort` of `http` and of `mqtt.network`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurePort {
    /// Where it is not the host that everything else listens on.
    pub host: Option<String>,
    /// 0 lets the system choose.
    pub port: u16,
    pub clients: ClientCertificates,
}

/// Whether something has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    Required,
    Optional,
}

/// Whom a client's certificate makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateUser {
    /// The user with the certificate's common name.
    CommonName,
    Named(String),
    /// Nobody: it still has to say who it is.
    Credentials,
}

impl TlsSettings {
    /// Puts relative paths below a folder.
    pub fn below(mut self, folder: &Path) -> TlsSettings {
        for identity in &mut self.identities {
            identity.certificate = folder.join(&identity.certificate);
            identity.private_key = folder.join(&identity.private_key);
            if let Some(authority) = &mut identity.authority {
                *authority = folder.join(&*authority);
            }
        }
        self
    }
}

impl SecurePort {
    /// Puts a relative path below a folder.
    pub fn below(mut self, folder: &Path) -> SecurePort {
        if let ClientCertificates::Asked { authority: Some(authority), .. } = &mut self.clients {
            *authority = folder.join(&*authority);
        }
        self
    }
}

impl RootConfig {
    /// `tls`, one identity or a list of them. Those that lack a file are left out, as a configuration
    /// that was written by Harper has them.
    pub fn tls(&self) -> Result<TlsSettings, ConfigError> {
        let sections = match self.get("tls") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Sequence(sections)) => sections.iter().collect(),
            Some(section @ Value::Mapping(_)) => vec![section],
            Some(_) => {
                return Err(self.error("tls", "tls", "must have certificate and privateKey"));
            }
        };
        let mut identities = Vec::new();
        for section in sections {
            let path = |name: &str| match section.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(path)) => Ok(Some(PathBuf::from(path))),
                Some(_) => Err(self.error("tls", name, "must be the path of a PEM file")),
            };
            let (Some(certificate), Some(private_key)) =
                (path("certificate")?, path("privateKey")?)
            else {
                continue;
            };
            let hosts = section.get("host").or_else(|| section.get("hosts"));
            let hosts = match hosts {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::String(host)) => vec![host.clone()],
                Some(Value::Sequence(hosts)) => {
                    hosts.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                Some(_) => return Err(self.error("tls", "host", "must be a name, or a list")),
            };
            let authority = path("certificateAuthority")?;
            identities.push(Identity { certificate, private_key, authority, hosts });
        }
        Ok(TlsSettings { identities })
    }

    /// `securePort` of a section, `http` or `mqtt.network`; `None` for none.
    pub fn secure_port(&self, section: &str) -> Result<Option<SecurePort>, ConfigError> {
        let (host, port) = self.address(section, "securePort")?;
        let Some(port) = port else { return Ok(None) };
        Ok(Some(SecurePort { host, port, clients: self.client_certificates(section)? }))
    }

    /// `mtls` of a section, `http` or `mqtt.network`.
    fn client_certificates(&self, section: &str) -> Result<ClientCertificates, ConfigError> {
        let wrong =
            |name: &str, message: &str| self.error(section, &format!("mtls{name}"), message);
        let options = match self.get(&format!("{section}.mtls")) {
            None | Some(Value::Null | Value::Bool(false)) => {
                return Ok(ClientCertificates::Ignored);
            }
            Some(Value::Bool(true)) => &Value::Null,
            Some(options @ Value::Mapping(_)) => options,
            Some(_) => return Err(wrong("", "must be true, false, or user and required")),
        };
        let presence = match options.get("required") {
            None | Some(Value::Null | Value::Bool(false)) => Presence::Optional,
            Some(Value::Bool(true)) => Presence::Required,
            Some(_) => return Err(wrong(".required", "must be true or false")),
        };
        let user = match options.get("user") {
            None => CertificateUser::CommonName,
            Some(Value::Null) => CertificateUser::Credentials,
            Some(Value::String(name)) if matches!(name.as_str(), "CN" | "Common Name") => {
                CertificateUser::CommonName
            }
            Some(Value::String(name)) => CertificateUser::Named(name.clone()),
            Some(_) => return Err(wrong(".user", "must be a name, or null")),
        };
        let authority = match options.get("certificateAuthority") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(PathBuf::from(path)),
            Some(_) => {
                return Err(wrong(".certificateAuthority", "must be the path of a PEM file"));
            }
        };
        Ok(ClientCertificates::Asked { presence, user, authority })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::root::Overrides;

    fn try_read(file: &str) -> Result<RootConfig, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("harper-config.yaml"), file).unwrap();
        RootConfig::read(Some(dir.path()), &Overrides::default())
    }

    fn read(file: &str) -> RootConfig {
        try_read(file).unwrap()
    }

    #[test]
    fn identities_are_one_or_a_list() {
        let one = read("tls:\n  certificate: a.pem\n  privateKey: k.pem\n").tls().unwrap();
        assert_eq!(one.identities[0].certificate, Path::new("a.pem"));
        let list = read(
            "tls:\n- { certificate: a, privateKey: b, host: x.org }\n- { certificate: c, privateKey: \
             d, certificateAuthority: e }\n- { certificate: null }\n",
        );
        let list = list.tls().unwrap().below(Path::new("/root"));
        assert_eq!(list.identities.len(), 2);
        assert_eq!(list.identities[0].hosts, ["x.org"]);
        assert_eq!(list.identities[1].authority.as_deref(), Some(Path::new("/root/e")));
        assert_eq!(read("").tls().unwrap(), TlsSettings::default());
        let wrong = try_read("logging: {}\ntls: 5\n").unwrap_err().to_string();
        assert!(wrong.contains(":2: tls: `tls` must have certificate"), "{wrong}");
    }

    #[test]
    fn certificates_of_clients_name_users() {
        let mqtt = |text: &str| {
            let file = format!("mqtt:\n  network:\n    mtls: {text}\n");
            read(&file).client_certificates("mqtt.network")
        };
        let asked = |presence, user| ClientCertificates::Asked { presence, user, authority: None };
        assert_eq!(mqtt("false").unwrap(), ClientCertificates::Ignored);
        let by_name = asked(Presence::Optional, CertificateUser::CommonName);
        assert_eq!(mqtt("true").unwrap(), by_name);
        let named = asked(Presence::Required, CertificateUser::Named("ann".to_owned()));
        assert_eq!(mqtt("{ user: ann, required: true }").unwrap(), named);
        let nobody = asked(Presence::Optional, CertificateUser::Credentials);
        assert_eq!(mqtt("{ user: null }").unwrap(), nobody);
        assert!(mqtt("7").is_err());
    }
}
