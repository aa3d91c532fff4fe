//! Where we listen.

use crate::file::Draft;
use crate::report::Report;
use std::net::SocketAddr;

const CONTROLLER: &str = "controller.listen";
const GATEWAY: &str = "gateway.listen";

pub(super) fn check(draft: &Draft, report: &mut Report) {
    let controller = draft.controller.as_ref().map(|controller| controller.listen);
    let gateway = draft.gateway.as_ref().map(|gateway| gateway.listen);
    port_zero(controller, gateway, report);
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

/// Port 0 is a free port that nobody knows beforehand. The gateway and every command look for the controller where the file
/// says it is; the gateway tells at its start where it listens, so a test or a script can still go there.
fn port_zero(controller: Option<SocketAddr>, gateway: Option<SocketAddr>, report: &mut Report) {
    let help = |port: u16| format!("write a port of your own, for example {port}");
    if let Some(address) = controller.filter(|address| address.port() == 0) {
        let message = format!("{address} is another port at each start, so neither gateway nor commands would find it");
        report.problem(CONTROLLER, message, help(7070));
    }
    if let Some(address) = gateway.filter(|address| address.port() == 0) {
        let message = format!("{address} is another port at each start, so clients do not know where to send");
        report.warning(GATEWAY, message, help(8080));
    }
}
