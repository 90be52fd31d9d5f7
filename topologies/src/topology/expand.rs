//! Droplets that are written once and are several: before anything else is looked at, each becomes a droplet of its own.

use super::load::range;
use super::names::Loaded;
use super::{Parameters, Problem, file};
use std::collections::HashMap;
use toml::Spanned;

/// More droplets under one name than any topology has.
const MOST: u32 = 1_024;

/// Writes `file` out: a droplet with a count becomes as many, with consecutive addresses and numbered names, and so does its
/// name wherever droplets are listed.
pub fn expand(file: &mut file::File, parameters: Parameters) -> Loaded<()> {
    let mut names: HashMap<String, Vec<String>> = HashMap::new();
    let mut droplets = Vec::new();
    for droplet in std::mem::take(&mut file.droplets) {
        let Some(count) = &droplet.count else {
            droplets.push(droplet);
            continue;
        };
        let count = several(&droplet, count, parameters)?;
        let range = range(&droplet.ip, &droplet.mac, count)?;
        let name = droplet.name.get_ref();
        let numbered: Vec<_> = (1..=count)
            .map(|number| format!("{name}-{number}"))
            .collect();
        for (index, numbered) in (0..).zip(&numbered) {
            droplets.push(file::Droplet {
                name: Spanned::new(droplet.name.span(), numbered.clone()),
                ip: Spanned::new(droplet.ip.span(), range.ip(index)),
                mac: Spanned::new(droplet.mac.span(), range.mac(index)),
                under_test: None,
                datapath: droplet.datapath.clone(),
                stock: droplet.stock,
                count: None,
            });
        }
        names.insert(name.clone(), numbered);
    }
    file.droplets = droplets;
    let write_out = |list: &mut Vec<file::Name>| {
        let listed = std::mem::take(list).into_iter();
        *list = listed.flat_map(|name| written_out(name, &names)).collect();
    };
    for vpc in &mut file.vpcs {
        write_out(&mut vpc.dividers);
    }
    for network in &mut file.networks {
        write_out(network.bouncers.get_mut());
    }
    for endpoints in &mut file.endpoints {
        if let Some(several) = &mut endpoints.droplets {
            write_out(several.get_mut());
        }
        if let Some(one) = endpoints
            .droplet
            .take_if(|it| names.contains_key(it.get_ref()))
        {
            let span = one.span();
            endpoints.droplets = Some(Spanned::new(span, written_out(one, &names)));
        }
    }
    Ok(())
}

/// How many a droplet is.
fn several(
    droplet: &file::Droplet,
    count: &Spanned<file::Count>,
    parameters: Parameters,
) -> Loaded<u32> {
    if let Some(flag) = &droplet.under_test {
        let (key, context) = ("under_test", "for several droplets at once");
        return Err((flag.span(), Problem::Meaningless { key, context }));
    }
    let Some(number) = count.get_ref().of_droplets(parameters) else {
        let (key, context) = ("count = \"endpoints\"", "for droplets");
        return Err((count.span(), Problem::Meaningless { key, context }));
    };
    if number > MOST {
        let (first, count) = (droplet.ip.get_ref().to_string(), number);
        return Err((droplet.ip.span(), Problem::RangeOverflow { first, count }));
    }
    Ok(number)
}

fn written_out(name: file::Name, names: &HashMap<String, Vec<String>>) -> Vec<file::Name> {
    match names.get(name.get_ref()) {
        None => vec![name],
        Some(numbered) => numbered
            .iter()
            .map(|numbered| Spanned::new(name.span(), numbered.clone()))
            .collect(),
    }
}
