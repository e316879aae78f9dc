//! The work, independent of any language.
//!
//! W1 is one image of 250 variables in four layers: the defaults, an operating system, a provider, and the image's own
//! settings. W2 is 1,000 such images over 20 systems and 15 providers. W3 is one file of 10 MB: 2,000 blocks of 50
//! assignments. A value may refer to the final value of another variable.

use serde_json::{Map, Value as Json};

pub const SYSTEMS: usize = 20;
pub const PROVIDERS: usize = 15;
pub const IMAGES: usize = 1000;

pub const VERSION: &str = "v?[0-9]+[.][0-9]+.*";
pub const URL: &str = "https?://.+";
pub const CHOICES: [&str; 4] = ["none", "bios", "efi", "efi-secure"];
pub const GREATEST: u64 = 1 << 40;

/// The variables that others refer to; each image sets them.
pub const REFERRED: [usize; 2] = [0, 2];

#[derive(Clone, Copy, PartialEq)]
pub enum Kind {
    Bool,
    /// At most [`GREATEST`].
    Int,
    /// One of [`CHOICES`].
    Choice,
    /// Matches [`VERSION`].
    Version,
    /// Matches [`URL`].
    Url,
    Text,
}

pub enum Piece {
    Plain(String),
    /// The final value of a variable.
    Name(String),
}

pub enum Value {
    Bool(bool),
    Int(u64),
    Text(Vec<Piece>),
    List(Vec<String>),
}

pub type Settings = Vec<(String, Value)>;

pub struct Image {
    pub name: String,
    pub system: usize,
    pub provider: usize,
    pub settings: Settings,
}

pub struct Fleet {
    pub kinds: Vec<(String, Kind)>,
    pub defaults: Settings,
    pub systems: Vec<Settings>,
    pub providers: Vec<Settings>,
    pub images: Vec<Image>,
}

const FIRST: &str = "ansible boot build ceph cloud cni containerd cpu crictl disk distro extra firmware \
    goss guest image iso kernel kubernetes machine memory network output proxy shutdown";
const SECOND: &str = "version file name source size path label enabled mode url";

pub fn name(index: usize) -> String {
    let word = |words: &'static str, at| words.split_whitespace().nth(at).expect("enough words");
    format!("{}_{}", word(FIRST, index / 10), word(SECOND, index % 10))
}

fn kind(index: usize) -> Kind {
    match index % 25 {
        0 | 12 => Kind::Version,
        4 => Kind::Int,
        7 | 15 | 20 => Kind::Bool,
        8 => Kind::Choice,
        9 => Kind::Url,
        _ => Kind::Text,
    }
}

fn plain(text: String) -> Value {
    Value::Text(vec![Piece::Plain(text)])
}

/// The value that layer `seed` of a kind of layers sets.
fn setting(index: usize, layer: &str, seed: usize) -> (String, Value) {
    let name = name(index);
    let value = match kind(index) {
        Kind::Bool => Value::Bool(seed.is_multiple_of(2)),
        Kind::Int => Value::Int(1024 + 256 * seed as u64),
        Kind::Choice => plain(CHOICES[seed % CHOICES.len()].to_owned()),
        Kind::Version => plain(format!("v1.{}.{}", 20 + seed % 17, seed % 13)),
        Kind::Url => plain(format!("https://mirror-{seed}.example.com/{layer}/{name}")),
        // One in 25 refers to others, of the defaults and of the image: not every language has names of other files.
        Kind::Text if index % 25 == 6 && layer != "provider" => Value::Text(vec![
            Piece::Plain(format!("./{layer}/")),
            Piece::Name(self::name(REFERRED[0])),
            Piece::Plain("/".to_owned()),
            Piece::Name(self::name(REFERRED[1])),
            Piece::Plain(format!("-{seed}")),
        ]),
        Kind::Text if layer == "defaults" && index.is_multiple_of(2) => plain(String::new()),
        Kind::Text => plain(format!("/srv/{layer}/{seed}/{name}")),
    };
    (name, value)
}

fn layer(variables: std::ops::Range<usize>, layer: &str, seed: usize) -> Settings {
    variables.map(|index| setting(index, layer, seed)).collect()
}

pub fn fleet(images: usize) -> Fleet {
    let image = |n: usize| Image {
        name: format!("img{n:04}"),
        system: n % SYSTEMS,
        provider: n / SYSTEMS % PROVIDERS,
        settings: layer(0..10, "image", n),
    };
    Fleet {
        kinds: (0..250).map(|index| (name(index), kind(index))).collect(),
        defaults: layer(0..250, "defaults", 0),
        systems: (0..SYSTEMS.min(images))
            .map(|n| layer(10..25, "system", n))
            .collect(),
        providers: (0..PROVIDERS.min(images))
            .map(|n| layer(25..45, "provider", n))
            .collect(),
        images: (0..images).map(image).collect(),
    }
}

/// W3's blocks.
pub fn blocks() -> Vec<(String, Settings)> {
    let words: Vec<&str> = FIRST.split_whitespace().collect();
    let value = |block: usize, at: usize| match (block + at) % 20 {
        0 | 1 => Value::Bool(at.is_multiple_of(2)),
        2..=4 => Value::Int((block * 1000 + at) as u64),
        5 | 6 => Value::List(
            (0..4)
                .map(|n| format!("/etc/{}/{n}.conf", words[(block + n) % 25]))
                .collect(),
        ),
        _ => {
            let word = |n: usize| words[(block * 7 + at * 3 + n * n) % 25];
            let path: Vec<&str> = (1..10).map(word).collect();
            plain(format!(
                "https://{}.example.com/{}/v1.{block}.{at}",
                word(0),
                path.join("/")
            ))
        }
    };
    let settings = |block| (0..50).map(|at| (name(at), value(block, at))).collect();
    (0..2000)
        .map(|block| (format!("block{block:04}"), settings(block)))
        .collect()
}

impl Value {
    /// The value where no reference is resolved: a name is written as `${name}`.
    pub fn json(&self) -> Json {
        match self {
            Value::Bool(value) => (*value).into(),
            Value::Int(value) => (*value).into(),
            Value::List(elements) => elements.clone().into(),
            Value::Text(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Plain(text) => text.clone(),
                    Piece::Name(name) => format!("${{{name}}}"),
                })
                .collect::<String>()
                .into(),
        }
    }
}

pub fn json(settings: &Settings) -> Map<String, Json> {
    settings
        .iter()
        .map(|(name, value)| (name.clone(), value.json()))
        .collect()
}

impl Fleet {
    /// The final values of an image: what every language must compute.
    pub fn values(&self, image: &Image) -> Map<String, Json> {
        let mut values = json(&self.defaults);
        for layer in [
            &self.systems[image.system],
            &self.providers[image.provider],
            &image.settings,
        ] {
            values.extend(json(layer));
        }
        let referred: Vec<(String, String)> = REFERRED
            .map(|index| {
                (
                    format!("${{{}}}", name(index)),
                    values[&name(index)].as_str().expect("a text").to_owned(),
                )
            })
            .into();
        for value in values.values_mut() {
            if let Json::String(text) = value {
                for (place, with) in &referred {
                    *text = text.replace(place, with);
                }
            }
        }
        values
    }
}
