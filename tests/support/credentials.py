"""Where real products take credentials, and where a value may show."""

from pathlib import Path

import sqlalchemy as sa

from config.settings import settings
from store import schema
from store.engine import db
from tests.support.api import Door

#: headers as the products' own documentation names them
HEADERS = {
    "VirusTotal": "x-apikey",
    "AbuseIPDB": "Key",
    "GitLab": "PRIVATE-TOKEN",
    "AlienVault OTX": "X-OTX-API-KEY",
    "Tenable": "X-ApiKeys",
    "Datadog": "DD-API-KEY",
    "Datadog application": "DD-APPLICATION-KEY",
    "Azure API Management": "Ocp-Apim-Subscription-Key",
    "QRadar": "SEC",
    "Recorded Future": "X-RFToken",
    "AWS": "X-Amz-Security-Token",
    "GreyNoise": "key",
    "Shodan proxy": "X-Key",
    "urlscan.io": "API-Key",
    "Hybrid Analysis": "api-key",
    "CrowdStrike": "X-CSAPI-TOKEN",
    "HashiCorp Vault": "X-Vault-Token",
    "Cloudflare": "X-Auth-Key",
    "OpenStack": "X-Auth-Token",
    "Okta": "Authorization",
    "Palo Alto PAN-OS": "X-PAN-KEY",
    "Cortex XDR": "x-xdr-auth-key",
    "Check Point": "X-chkp-sid-session",
    "FortiGate": "X-CSRFTOKEN",
    "Elastic": "es-secondary-authorization",
    "New Relic": "Api-Key",
    "New Relic Insights": "X-Insert-Key",
    "Opsgenie": "X-Genie-Key",
    "Sentry": "X-Sentry-Auth",
    "SecurityTrails": "APIKEY",
    "Have I Been Pwned": "hibp-api-key",
    "IBM X-Force": "X-IBM-Client-Secret",
    "Jenkins": "Jenkins-Crumb-Session",
    "GitHub webhook": "X-Hub-Signature-256",
    "Rapid7": "X-Api-Key",
    "Snyk webhook": "X-Snyk-Token",
    "Trend Micro": "api-secret-key",
    "Zscaler": "ZS-Session-Id",
    "MISP proxy": "Proxy-Auth-Pass",
    "CyberArk": "X-CyberArk-Credential",
    "Any that sets one": "Cookie",
}
#: headers that hold no credential although their names look a little like it
PLAIN_HEADERS = ("Idempotency-Key", "X-Auth-Email", "X-Author", "Content-Type", "X-Design", "X-Bypass-Proxy", "Accept")
#: addresses with a credential in them, written {}
ADDRESSES = {
    "PAN-OS": "https://fw.example.com/api/?type=op&key={}&cmd=show",
    "Shodan": "https://api.shodan.io/shodan/host/192.0.2.1?key={}",
    "VirusTotal v2": "https://www.virustotal.com/vtapi/v2/file/report?apikey={}&resource=a",
    "Azure function": "https://x.azurewebsites.net/api/run?code={}",
    "Teams workflow": "https://x.logic.azure.com:443/workflows/1/triggers/manual/paths/invoke?sp=run&sig={}",
    "AWS presigned": "https://b.s3.amazonaws.com/o?X-Amz-Expires=60&X-Amz-Signature={}",
    "DingTalk": "https://oapi.dingtalk.com/robot/send?access_token={}",
    "Splunk HEC": "https://splunk.example.com:8088/services/collector?token={}",
    "Datadog": "https://http-intake.logs.datadoghq.com/api/v2/logs?dd-api-key={}",
    "escaped": "https://api.example.com/?api%5Fkey={}",
    "Slack": "https://hooks.slack.com/services/T0000/B0000/{}",
    "Teams": "https://corp.webhook.office.com/webhookb2/a@b/IncomingWebhook/{}/c",
    "Discord": "https://discord.com/api/webhooks/1234567890/{}",
    "Google Chat": "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=k&token={}",
    "Mattermost": "https://chat.example.com/hooks/{}",
    "PagerDuty": "https://events.pagerduty.com/integration/{}/enqueue",
    "Splunk On-Call": "https://alert.victorops.com/integrations/generic/20131114/alert/{}/team",
    "Telegram": "https://api.telegram.org/bot{}/sendMessage",
    "Jira automation": "https://automation.atlassian.com/pro/hooks/{}",
    "Webex": "https://webexapis.com/v1/webhooks/incoming/{}",
    "Zapier": "https://hooks.zapier.com/hooks/catch/1/{}/",
}


def stored() -> dict[str, str]:
    """The database's content by table, and the bytes of SQLite's files."""
    found = {}
    with db.read() as connection:
        for name, table in schema.metadata.tables.items():
            found[name] = str([tuple(row) for row in connection.execute(sa.select(table))])
    url = settings().database_url
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        for file in path.parent.glob(f"{path.name}*"):
            found[file.name] = file.read_bytes().decode("latin-1")
    return found


def read_everywhere(door: Door, paths: list[str]) -> dict[str, str]:
    """The answers that each role gets at these paths of the API."""
    found = {}
    for role in ("viewer", "operator", "admin"):
        key = door.key(role=role)
        for path in paths:
            answer = door.call("GET", path, key=key)
            assert answer.status_code == 200, f"{path}: {answer.text}"
            found[f"{role} {path}"] = answer.text
    return found
