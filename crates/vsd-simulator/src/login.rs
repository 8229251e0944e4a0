//! Who may ask: users, their passwords and API keys.

use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::store::{Attributes, Author, Store, now_ms};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How a request says who asks. It has no secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing that could be read.
    Nothing,
    /// The secret is a password, or neither.
    Password,
    /// The secret is an API key, of now or of before.
    Key,
}

impl Shown {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Password => "password",
            Self::Key => "key",
        }
    }
}

/// The user that is there from the start, and is above all enterprises.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    pub(crate) author: Author,
    pub(crate) password: String,
    pub(crate) organization: String,
    pub(crate) organization_id: String,
}

#[derive(Debug)]
struct Key {
    key: String,
    until: Instant,
    until_ms: u64,
}

/// All who can log in.
#[derive(Debug)]
pub(crate) struct Logins {
    root: Root,
    life: Duration,
    /// The key of each user, by the user's ID. There is one at a time.
    keys: HashMap<String, Key>,
    /// Keys that were given once: the log tells them from passwords.
    given: Vec<String>,
}

/// What the headers of a request say.
#[derive(Debug, Default, Clone)]
pub(crate) struct Credentials {
    pub(crate) scheme: String,
    user: String,
    secret: String,
    pub(crate) organization: String,
}

impl Credentials {
    /// Reads them: the scheme is `XREST` or `Basic`, and both mean the same.
    pub(crate) fn read(authorization: &str, organization: &str) -> Self {
        let (scheme, rest) = authorization.split_once(' ').unwrap_or((authorization, ""));
        let decoded = STANDARD.decode(rest.trim()).unwrap_or_default();
        let decoded = String::from_utf8(decoded).unwrap_or_default();
        let (user, secret) = decoded.split_once(':').unwrap_or_default();
        Self {
            scheme: scheme.to_owned(),
            user: user.to_owned(),
            secret: secret.to_owned(),
            organization: organization.to_owned(),
        }
    }
}

/// A user and where the user is at home.
struct User {
    author: Author,
    password: String,
    organization: String,
    organization_id: String,
    role: &'static str,
}

impl Logins {
    pub(crate) fn new(root: Root, life: Duration) -> Self {
        Self {
            root,
            life,
            keys: HashMap::new(),
            given: Vec::new(),
        }
    }

    /// Who asks. Passwords are taken for `GET /me` only.
    ///
    /// # Errors
    /// [`Refusal::Unauthorized`] when it is nobody.
    pub(crate) fn check(
        &self,
        store: &Store,
        credentials: &Credentials,
        is_login: bool,
    ) -> Result<Author, Refusal> {
        let user = self.user(store, credentials).ok_or(Refusal::Unauthorized)?;
        let key = self.valid_key(&user.author.id);
        let has_key = key.is_some_and(|key| key.key == credentials.secret);
        let has_password = is_login && user.password == credentials.secret;
        match has_key || has_password {
            true => Ok(user.author),
            false => Err(Refusal::Unauthorized),
        }
    }

    /// The answer to `GET /me` of who has been let in. The key is the same until it expires.
    pub(crate) fn me(&mut self, store: &Store, credentials: &Credentials) -> Value {
        let Some(user) = self.user(store, credentials) else {
            return Value::Null;
        };
        if self.valid_key(&user.author.id).is_none() {
            let key = Key {
                key: uuid::Uuid::new_v4().to_string(),
                until: Instant::now() + self.life,
                until_ms: now_ms() + u64::try_from(self.life.as_millis()).unwrap_or(u64::MAX),
            };
            self.given.push(key.key.clone());
            self.keys.insert(user.author.id.clone(), key);
        }
        let key = self.keys.get(&user.author.id);
        json!([{
            "ID": user.author.id,
            "parentID": user.organization_id,
            "parentType": "enterprise",
            "APIKey": key.map(|key| &key.key),
            "APIKeyExpiry": key.map(|key| key.until_ms),
            "userName": user.author.name,
            "firstName": user.author.name,
            "lastName": user.author.name,
            "email": format!("{}@{}", user.author.name, user.organization),
            "enterpriseID": user.organization_id,
            "enterpriseName": user.organization,
            "role": user.role,
            "externalID": null,
        }])
    }

    /// What kind of secret is shown.
    pub(crate) fn shown(&self, credentials: &Credentials) -> Shown {
        match credentials.secret.as_str() {
            "" => Shown::Nothing,
            secret if self.given.iter().any(|key| key == secret) => Shown::Key,
            _ => Shown::Password,
        }
    }

    /// No key is valid any more.
    pub(crate) fn expire(&mut self) {
        self.keys.clear();
    }

    fn valid_key(&self, user: &str) -> Option<&Key> {
        let key = self.keys.get(user);
        key.filter(|key| Instant::now() < key.until)
    }

    /// The user of that name in that organization; the password is not looked at.
    fn user(&self, store: &Store, credentials: &Credentials) -> Option<User> {
        if credentials.organization == self.root.organization
            && credentials.user == self.root.author.name
        {
            return Some(User {
                author: self.root.author.clone(),
                password: self.root.password.clone(),
                organization: self.root.organization.clone(),
                organization_id: self.root.organization_id.clone(),
                role: "CSPROOT",
            });
        }
        let mut users = store.all(Kind::User);
        users.find_map(|user| {
            let home = store.parent_of(user)?;
            let fits = user.text("userName") == credentials.user
                && home.text("name") == credentials.organization;
            fits.then(|| User {
                author: Author {
                    id: user.id.clone(),
                    name: credentials.user.clone(),
                },
                password: user.text("password").to_owned(),
                organization: credentials.organization.clone(),
                organization_id: home.id.clone(),
                role: "USER",
            })
        })
    }

    /// The first user, as others are shown.
    pub(crate) fn author(&self) -> &Author {
        &self.root.author
    }
}

/// Attributes of a user for the seed.
pub(crate) fn user(name: &str, password: &str) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.insert("userName".to_owned(), json!(name));
    attributes.insert("password".to_owned(), json!(password));
    attributes
}
