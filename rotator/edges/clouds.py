"""Where Graph and the login host of each cloud are."""

from rotator.edges.setting_types import Root, Section


class CloudRoots(Section):
    """The base URLs of a cloud that is not one of `CLOUDS`."""

    graph: Root
    login: Root


CLOUDS = {
    "global": CloudRoots(graph="https://graph.microsoft.com", login="https://login.microsoftonline.com"),
    "china": CloudRoots(graph="https://microsoftgraph.chinacloudapi.cn", login="https://login.chinacloudapi.cn"),
    "usgov": CloudRoots(graph="https://graph.microsoft.us", login="https://login.microsoftonline.us"),
    "usgov-dod": CloudRoots(graph="https://dod-graph.microsoft.us", login="https://login.microsoftonline.us"),
}
"""Source: "Microsoft Graph national cloud deployments"."""
