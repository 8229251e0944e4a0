//! Making an object of which there must not be two, though an answer may be lost: what may have been
//! made is looked for before it is made again, and taken if it is ours.

use super::answer::Reply;
use super::call::{Again, Call};
use super::error::VsdError;
use super::request::Request;
use serde_json::Value;

/// What is made, and how it is known again.
pub(super) trait Making {
    /// The object made.
    type Made;

    /// The object of an answer; one that lacks what was asked for is an error.
    fn read(&self, call: &Call, object: Value) -> Result<Self::Made, VsdError>;

    /// The object that is there already, if it is ours.
    async fn found(&self, call: &Call) -> Result<Option<Self::Made>, VsdError>;
}

impl Call {
    /// Makes an object, once.
    pub(super) async fn make<M: Making>(
        &self,
        request: &Request,
        making: &M,
    ) -> Result<M::Made, VsdError> {
        let mut pace = self.pace();
        // The first answer that was lost: what it made may be there, whatever is said later.
        let mut doubt: Option<VsdError> = None;
        loop {
            let failure = match self.attempt(request).await {
                Ok(reply) => return self.made(&reply, making, doubt).await,
                Err(failure) => failure,
            };
            let more = failure.again != Again::Never && pace.again(&failure).await;
            if failure.again == Again::Doubtful {
                match making.found(self).await {
                    Ok(Some(made)) => return Ok(made),
                    Ok(None) if more => {}
                    _ => return Err(failure.error),
                }
                doubt.get_or_insert(failure.error);
            } else if !more {
                return Err(doubt.unwrap_or(failure.error));
            }
        }
    }

    /// What became of it. A refusal after a lost answer may be one because of our own object: of its
    /// UUID, but also of its address or name.
    async fn made<M: Making>(
        &self,
        reply: &Reply,
        making: &M,
        doubt: Option<VsdError>,
    ) -> Result<M::Made, VsdError> {
        let (error, look) = if reply.is_done() {
            match reply
                .one(&self.at)
                .and_then(|object| making.read(self, object))
            {
                Ok(made) => return Ok(made),
                Err(error) => (error, true),
            }
        } else {
            let error = reply.refusal(&self.at);
            let look = doubt.is_some() || error.is_taken();
            (error, look)
        };
        if !look {
            return Err(error);
        }
        match making.found(self).await {
            Ok(Some(made)) => {
                tracing::info!("{error}; it is there, and ours");
                Ok(made)
            }
            Ok(None) => Err(error),
            Err(_) => Err(doubt.unwrap_or(error)),
        }
    }

    /// Changes an object. That there is nothing to change is as good.
    pub(super) async fn put(&self, request: &Request) -> Result<(), VsdError> {
        let reply = self.exchange(request).await?;
        match reply.done(&self.at) {
            Err(error) if error.code() == Some(super::error::Code::NothingChanged) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Takes an object away. That it is not there is as good.
    pub(super) async fn delete(&self, path: String) -> Result<(), VsdError> {
        let reply = self.exchange(&Request::delete(path)).await?;
        if reply.status == 404 {
            Ok(())
        } else {
            reply.done(&self.at).map(drop)
        }
    }
}
