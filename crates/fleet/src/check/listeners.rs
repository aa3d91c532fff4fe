//! Where we listen.

use crate::file::Draft;
use crate::report::Report;

const CONTROLLER: &str = "controller.listen";
const GATEWAY: &str = "gateway.listen";

pub(super) fn check(draft: &Draft, report: &mut Report) {
    let controller = draft.controller.as_ref().map(|controller| controller.listen);
    let gateway = draft.gateway.as_ref().map(|gateway| gateway.listen);
    for (path, address) in [(CONTROLLER, controller), (GATEWAY, gateway)] {
        if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
            let message = format!("{address} can be reached from other machines");
            report.warning(path, message, "listen on 127.0.0.1 unless a firewall stands before it");
        }
    }
    if let (Some(ours), Some(theirs)) = (controller, gateway)
        && ours.port() == theirs.port()
        && ours.port() != 0
        && (ours.ip() == theirs.ip() || ours.ip().is_unspecified() || theirs.ip().is_unspecified())
    {
        let message = format!("controller and gateway both listen on port {}", ours.port());
        report.problem(GATEWAY, message, "give one of them another port");
    }
}
