//! How MQTT is spoken: `mqtt` of the root configuration, `--mqtt-port`
//! (`spec/harper-realtime.md` section 8).

/// The port of MQTT over TCP where nothing else is said.
pub const DEFAULT_MQTT_PORT: u16 = 1883;

/// `mqtt` of the root configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MqttSettings {
    /// `mqtt.network.port`, `false` for none.
    pub port: MqttPort,
    /// `mqtt.webSocket`.
    pub web_sockets: MqttOverWebSocket,
    /// `mqtt.requireAuthentication`.
    pub nobodies: Nobodies,
}

/// Where MQTT is spoken over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttPort {
    Off,
    /// [`DEFAULT_MQTT_PORT`]; where another process has it, nowhere, with a warning.
    #[default]
    Usual,
    /// 0 lets the system choose.
    Port(u16),
}

/// Whether WebSockets of the HTTP port that offer the subprotocol `mqtt` are the broker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttOverWebSocket {
    #[default]
    Accepted,
    NotAccepted,
}

/// What becomes of clients that are no user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Nobodies {
    /// Their CONNECT is refused.
    #[default]
    Refused,
    /// They may do what the resources let anybody do.
    Taken,
}
