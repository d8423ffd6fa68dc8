//! What plugins say of themselves, beside what the configuration says of their services.

use anyhow::{Context, Result, bail};

use crate::config::{Config, Instances, PluginSource, Service, WrongConfig};
use crate::plugin::{Manifest, Wrong};

/// The configuration with what it leaves to the plugins, whose bytes stand in the order of its
/// services: how many instances a service has, and on how many workers.
///
/// # Errors
/// Where a manifest is wrong: names its service. And for all that the `config` of services says
/// wrong by their plugins' schemas, each with its place in the file.
pub fn heed(config: &Config, plugins: &[Vec<u8>]) -> Result<Config> {
    let mut settled = config.clone();
    let mut wrong = Vec::new();
    for (service, bytes) in settled.services.iter_mut().zip(plugins) {
        let (PluginSource::File(path) | PluginSource::Folder(path)) = &service.plugin;
        let found = look(service, bytes)
            .with_context(|| format!("can't serve the plugin {}", path.display()))
            .with_context(|| format!("service.{}", service.name))?;
        let Some((manifest, mistakes)) = found else { continue };
        let of_service = |Wrong { at, key, problem }| WrongConfig {
            service: service.name.clone(),
            at,
            key,
            problem,
        };
        wrong.extend(mistakes.into_iter().map(of_service));
        if manifest.shares_state {
            keep_together(service);
        }
    }
    match wrong.is_empty() {
        true => Ok(settled),
        false => bail!(config.wrong(&wrong)),
    }
}

/// The plugin's manifest, and what it says of the service's `config`.
fn look(service: &Service, bytes: &[u8]) -> Result<Option<(Manifest, Vec<Wrong>)>> {
    let Some(manifest) = Manifest::read(bytes)? else { return Ok(None) };
    let schema = manifest.schema.as_ref();
    let check = schema.map(|it| it.check(&service.config, service.limits.compile_time));
    Ok(Some((manifest, check.transpose()?.unwrap_or_default())))
}

/// Has the connections of a service share one instance, where the configuration doesn't part them:
/// then it is told that they don't share all that their plugin would have them share.
fn keep_together(service: &mut Service) {
    let name = service.name.clone();
    if service.is_per_connection() && service.instances.is_some() {
        tracing::warn!(
            service = name,
            "its plugin says that connections share state; with instances = \"per-connection\" they \
             don't"
        );
        return;
    }
    service.instances = Some(Instances::PerWorker);
    let workers = *service.workers.get_or_insert(1);
    if workers > 1 && !service.listen.is_empty() {
        tracing::warn!(
            service = name,
            "its plugin says that connections share state; with workers = {workers} only those of \
             one worker do"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;

    /// A component with nothing in it but a manifest.
    fn plugin(manifest: &str) -> Vec<u8> {
        let content = [&b"\x10torsade:manifest"[..], manifest.as_bytes()].concat();
        let size = u8::try_from(content.len()).unwrap();
        assert!(size >= 0x80, "the size has two digits of seven bits");
        [&b"\0asm\x0d\0\x01\0\0"[..], &[size, 1], &content].concat()
    }

    /// The service, once its plugin's manifest is heeded; the manifest's and the service's lines.
    fn settled(manifest: &str, lines: &str) -> Result<Service> {
        let text = format!("[service.a]\nplugin = \"src/lib.rs\"\n{lines}\n");
        let config = config::parse(Path::new("torsade.toml"), text.as_bytes()).unwrap();
        let manifest = format!(
            "{{\"manifest\":1,\"name\":\"a-plugin-of-the-tests\",\"version\":\"1\",\
             \"licence\":\"Apache-2.0 OR MIT\",\"serves\":[\"nothing at all\"],{manifest}}}"
        );
        Ok(heed(&config, &[plugin(&manifest)])?.services.remove(0))
    }

    #[test]
    fn a_manifest_says_how_many_instances_there_are_where_nobody_else_does() {
        const LISTENS: &str = "listen = [\"tcp:1\"]";
        let (apart, together) = (Some(Instances::PerConnection), Some(Instances::PerWorker));
        for (shares, lines, instances, workers) in [
            (false, "", None, None),
            (false, "instances = \"per-worker\"", together, None),
            (true, "", together, Some(1)),
            (true, "instances = \"per-worker\"", together, Some(1)),
            (true, "workers = 2", together, Some(2)),
            (true, "instances = \"per-connection\"", apart, None),
        ] {
            let lines = format!("{LISTENS}\n{lines}");
            let service = settled(&format!("\"shared-state\":{shares}"), &lines).unwrap();
            assert_eq!((service.instances, service.workers), (instances, workers), "{lines}");
        }
    }

    #[test]
    fn what_a_plugin_does_not_take_is_told_with_its_place() {
        let schema = "\"config-schema\":{\"properties\":{\"a\":{\"type\":\"string\"}}}";
        assert!(settled(schema, "config = { a = \"b\" }").is_ok());
        let error = settled(schema, "config = { a = 7 }").unwrap_err().to_string();
        let told = "torsade.toml:3:16: service.a.config.a: 7 is not of type \"string\"\n";
        assert!(error.starts_with(told), "{error}");
    }

    #[test]
    fn a_wrong_manifest_is_told_with_its_plugin() {
        let error = settled("\"shared-state\":\"perhaps, who knows\"", "").unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "service.a: can't serve the plugin src/lib.rs: its manifest has a shared-state that is \
             not true or false"
        );
    }
}
