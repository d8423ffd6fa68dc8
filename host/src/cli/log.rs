//! The log: which lines it has, and what they look like.

use std::fmt::Debug;
use std::io::{self, IsTerminal};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber, callsite};
use tracing_subscriber::layer::{Context, Filter, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt, registry};

use crate::config::{Config, LOG_DEFAULT, LogFormat};

/// `--log-format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// An object of JSON for each line
    Json,
}

/// The log, once it is written.
#[derive(Clone)]
pub(super) struct Log {
    /// The command line has said which lines it has.
    is_said: bool,
    services: ServiceLevels,
}

impl Log {
    /// Has the lines of services follow the configuration, as far as the command line lets it. Where it
    /// doesn't, the configuration says nothing of them any more.
    pub(super) fn follow(&self, config: &mut Config) {
        if self.is_said {
            config.services.iter_mut().for_each(|service| service.log = None);
        }
        let services = config.services.iter();
        let levels = services.filter_map(|service| Some((service.name.clone(), service.log?)));
        let mut known = self.services.write().unwrap_or_else(PoisonError::into_inner);
        *known = levels.collect();
        drop(known);
        // What is remembered of who is heard follows from the levels.
        callsite::rebuild_interest_cache();
    }
}

/// Begins to write the log to standard error. `said` and `format` are what the command line says; it
/// goes before what the configuration says, of its services too.
pub(super) fn start(
    said: Option<&str>,
    format: Option<Format>,
    config: Option<&mut Config>,
) -> Result<Log> {
    let log = Log { is_said: said.is_some(), services: ServiceLevels::default() };
    if let Some(config) = config {
        log.follow(config);
        write(said.or(config.log.as_deref()), format, config.log_format, &log)?;
    } else {
        write(said, format, LogFormat::Text, &log)?;
    }
    Ok(log)
}

fn write(
    filter: Option<&str>,
    format: Option<Format>,
    configured: LogFormat,
    log: &Log,
) -> Result<()> {
    let filter = filter.unwrap_or(LOG_DEFAULT);
    let all = EnvFilter::try_new(filter)
        .map_err(|error| anyhow!("--log: {filter:?} is no filter, such as \"info\": {error}"))?;
    let levels = Levels { all, services: Arc::clone(&log.services) };
    let is_json = match format {
        Some(format) => matches!(format, Format::Json),
        None => configured == LogFormat::Json,
    };
    let lines = fmt::layer().with_writer(io::stderr);
    let started = match is_json {
        true => {
            // What is no part of the line itself stands beside it, not below it.
            let lines = lines.json().flatten_event(true).with_filter(levels);
            registry().with(lines).try_init()
        }
        false => {
            let lines = lines.with_ansi(io::stderr().is_terminal()).with_filter(levels);
            registry().with(lines).try_init()
        }
    };
    started.map_err(|error| anyhow!("the log can't be started: {error}"))
}

/// Lets lines through that are about a service with a level of its own by that, and all others by the
/// filter of all.
struct Levels {
    all: EnvFilter,
    services: ServiceLevels,
}

/// The levels of services that have one of their own, by their names.
type ServiceLevels = Arc<RwLock<Vec<(String, LevelFilter)>>>;

impl Levels {
    /// The most that any service is heard of.
    fn most(&self) -> LevelFilter {
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        services.iter().map(|(_, level)| *level).max().unwrap_or(LevelFilter::OFF)
    }
}

/// Whether lines from there are about a service.
fn are_about_a_service(metadata: &Metadata<'_>) -> bool {
    metadata.fields().field(SERVICE).is_some()
}

impl<S: Subscriber> Filter<S> for Levels {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        // Whose line it is only the line itself tells.
        are_about_a_service(metadata) && *metadata.level() <= self.most()
            || self.all.enabled(metadata, context.clone())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match are_about_a_service(metadata) {
            true => Interest::sometimes(),
            false => Filter::<S>::callsite_enabled(&self.all, metadata),
        }
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        if !are_about_a_service(event.metadata()) {
            return true;
        }
        let services = self.services.read().unwrap_or_else(PoisonError::into_inner);
        let mut named = Named { services: &services, level: None };
        event.record(&mut named);
        match named.level {
            Some(level) => *event.metadata().level() <= level,
            None => self.all.enabled(event.metadata(), context.clone()),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.all.max_level_hint()?.max(self.most()))
    }
}

/// Looks for the level of the service that a line is about.
struct Named<'a> {
    services: &'a [(String, LevelFilter)],
    level: Option<LevelFilter>,
}

impl Visit for Named<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == SERVICE {
            let found = self.services.iter().find(|(name, _)| name == value);
            self.level = found.map(|(_, level)| *level);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
}

/// The field by which a line names its service.
const SERVICE: &str = "service";

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// Writes to a channel.
    struct Lines(Sender<String>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The messages of the lines that are let through.
    fn written(filter: &str, services: &[(&str, LevelFilter)], log: impl FnOnce()) -> Vec<String> {
        let (sender, lines) = channel();
        let services = services.iter().map(|(name, level)| ((*name).to_owned(), *level));
        let services = Arc::new(RwLock::new(services.collect()));
        let levels = Levels { all: EnvFilter::new(filter), services };
        let layer = fmt::layer().json().flatten_event(true);
        let layer = layer.with_writer(move || Lines(sender.clone())).with_filter(levels);
        tracing::subscriber::with_default(registry().with(layer), log);
        let message = |line: String| {
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            line["message"].as_str().unwrap().to_owned()
        };
        lines.try_iter().map(message).collect()
    }

    #[test]
    fn a_service_with_a_level_of_its_own_has_its_lines_by_that() {
        let log = || {
            for service in ["quiet", "loud", "other"] {
                tracing::debug!(service, "{service} debug");
                tracing::info!(target: "plugin", service, "{service} info");
                tracing::error!(service, "{service} error");
            }
            tracing::debug!("host debug");
            tracing::info!("host info");
        };
        let levels = [("quiet", LevelFilter::ERROR), ("loud", LevelFilter::DEBUG)];
        let of_others = ["other info", "other error", "host info"];
        assert_eq!(written("info", &levels, log), {
            let own = ["quiet error", "loud debug", "loud info", "loud error"];
            own.into_iter().chain(of_others).collect::<Vec<_>>()
        });
        let all = ["quiet info", "quiet error", "loud info", "loud error"];
        assert_eq!(written("info", &[], log), all.into_iter().chain(of_others).collect::<Vec<_>>());
    }

    #[test]
    fn what_plugins_may_write_is_what_the_filter_of_all_says() {
        let (sender, lines) = channel();
        let enabled = || {
            let debug = tracing::enabled!(target: "plugin", tracing::Level::DEBUG);
            sender
                .send((debug, tracing::enabled!(target: "plugin", tracing::Level::INFO)))
                .unwrap();
        };
        written("info,torsade=trace", &[("loud", LevelFilter::TRACE)], enabled);
        assert_eq!(lines.recv(), Ok((false, true)));
    }
}
