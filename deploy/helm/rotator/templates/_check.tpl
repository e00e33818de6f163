{{/*
Checks that a JSON Schema cannot express. All problems are reported at once, each with its path in the values.
*/}}
{{- define "rotator.check" -}}
{{- $faults := list -}}
{{- $values := .Values -}}
{{- if not $values.image.repository -}}
{{- $faults = append $faults "image.repository: say where your image is, such as registry.example.com/rotator" -}}
{{- end -}}
{{- if not $values.config.tenants -}}
{{- $faults = append $faults "config.tenants: name at least one B2C tenant with its keysets; config/rotator.yaml has an example" -}}
{{- end -}}
{{- if and (hasKey $values "enabled") (not $values.enabled) -}}
{{- $faults = append $faults "enabled: false is for the condition of a larger chart, which leaves this one out; alone it changes nothing" -}}
{{- end -}}
{{- $faults = concat $faults (include "rotator.liveFaults" . | fromJsonArray) -}}
{{- if and (not (include "rotator.lease" .)) (gt (int $values.replicas) 1) -}}
{{- $faults = append $faults (printf "replicas: %d of them need config.leader_election.enabled: true, or each would write" (int $values.replicas)) -}}
{{- end -}}
{{- if gt (int $values.shards) 1 -}}
{{- $faults = concat $faults (include "rotator.shardFaults" . | fromJsonArray) -}}
{{- end -}}
{{- if include "rotator.lease" . -}}
{{- $faults = concat $faults (include "rotator.periodFaults" $values.config | fromJsonArray) -}}
{{- end -}}
{{- $host := dig "http" "host" "0.0.0.0" $values.config -}}
{{- if or (hasPrefix "127." $host) (has $host (list "localhost" "::1")) -}}
{{- $faults = append $faults (printf "config.http.host: nobody could probe or scrape %s in a pod; leave it out" $host) -}}
{{- end -}}
{{- $longest := include "rotator.longestStop" . | int -}}
{{- if and (not (kindIs "invalid" $values.terminationGracePeriodSeconds)) (lt (int $values.terminationGracePeriodSeconds) $longest) -}}
{{- $faults = append $faults (printf "terminationGracePeriodSeconds: a write that is under way can take longer than %d s; at least %d" (int $values.terminationGracePeriodSeconds) $longest) -}}
{{- end -}}
{{- with $values.config.ca_file -}}
{{- $isMounted := include "rotator.isMounted" (dict "path" . "mounts" $values.extraVolumeMounts) -}}
{{- if and $isMounted $values.dryRun.enabled -}}
{{- $isMounted = include "rotator.isMounted" (dict "path" . "mounts" $values.dryRun.extraVolumeMounts) -}}
{{- end -}}
{{- if not (or $isMounted (and $values.caConfigMap (hasPrefix "/etc/rotator-ca/" .))) -}}
{{- $faults = append $faults (printf "config.ca_file: %s is not in the pod; name a ConfigMap in caConfigMap, whose keys become files below /etc/rotator-ca/, or mount it by extraVolumeMounts (and dryRun.extraVolumeMounts)" .) -}}
{{- end -}}
{{- end -}}
{{- if and $values.monitoring.prometheusRule.enabled (not $values.monitoring.prometheusRule.runbookUrl) -}}
{{- $faults = append $faults "monitoring.prometheusRule.runbookUrl: say where your people find deploy/runbook.md" -}}
{{- end -}}
{{- $names := list -}}
{{- range $index, $tenant := $values.config.tenants -}}
{{- if has .name $names -}}
{{- $faults = append $faults (printf "config.tenants[%d].name: duplicate tenant name %s" $index .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $where := printf "config.tenants[%d].credential" $index -}}
{{- $faults = concat $faults (include "rotator.credentialFaults" (dict "where" $where "credential" $tenant.credential "from" $values "prefix" "" "env" $values.env "injected" $values.podAnnotations) | fromJsonArray) -}}
{{- end -}}
{{- $faults = concat $faults (include "rotator.secretFaults" (dict "where" "secrets" "from" $values) | fromJsonArray) -}}
{{- $faults = concat $faults (include "rotator.volumeFaults" (dict "prefix" "" "from" $values "ca" $values.caConfigMap) | fromJsonArray) -}}
{{- $faults = concat $faults (include "rotator.volumeFaults" (dict "prefix" "dryRun." "from" $values.dryRun "ca" $values.caConfigMap) | fromJsonArray) -}}
{{- $faults = concat $faults (include "rotator.envFaults" (dict "where" "env" "env" $values.env) | fromJsonArray) -}}
{{- $faults = concat $faults (include "rotator.envFaults" (dict "where" "dryRun.env" "env" $values.dryRun.env) | fromJsonArray) -}}
{{- if not (or $values.serviceAccount.create $values.serviceAccount.name) -}}
{{- $faults = append $faults "serviceAccount.name: say which one there is, or have it made with serviceAccount.create" -}}
{{- end -}}
{{- if $values.dryRun.enabled -}}
{{- if not (or $values.dryRun.serviceAccount.create $values.dryRun.serviceAccount.name) -}}
{{- $faults = append $faults "dryRun.serviceAccount.name: say which one there is, or have it made with dryRun.serviceAccount.create" -}}
{{- end -}}
{{- if eq (include "rotator.account" $) (include "rotator.dryRunAccount" $) -}}
{{- $faults = append $faults (printf "dryRun.serviceAccount.name: %s is that of the daemon, which may write" (include "rotator.account" $)) -}}
{{- end -}}
{{- range $values.config.tenants -}}
{{- $where := printf "dryRun.credentials.%s" .name -}}
{{- $credential := get $values.dryRun.credentials .name -}}
{{- if $credential -}}
{{- $faults = concat $faults (include "rotator.credentialFaults" (dict "where" $where "credential" $credential "from" $values.dryRun "prefix" "dryRun." "env" (include "rotator.dryRunEnv" $ | fromJsonArray) "injected" $values.dryRun.podAnnotations) | fromJsonArray) -}}
{{- else -}}
{{- $faults = append $faults (printf "%s: say who the dry run is there; an app registration that can only read is enough" $where) -}}
{{- end -}}
{{- end -}}
{{- range $name, $_ := $values.dryRun.credentials -}}
{{- if not (has $name $names) -}}
{{- $faults = append $faults (printf "dryRun.credentials.%s: config.tenants has no tenant of that name" $name) -}}
{{- end -}}
{{- end -}}
{{- $faults = concat $faults (include "rotator.secretFaults" (dict "where" "dryRun.secrets" "from" $values.dryRun) | fromJsonArray) -}}
{{- $faults = concat $faults (include "rotator.scheduleFaults" $values.dryRun.schedule | fromJsonArray) -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "the values are invalid:\n  %s\n" (join "\n  " $faults)) -}}
{{- end -}}
{{- end -}}

{{/* Credentials that name a file or variable that is not in the pod. A JSON array of problems. */}}
{{- define "rotator.credentialFaults" -}}
{{- $faults := list -}}
{{- $directory := "/var/run/secrets/rotator/" -}}
{{- $given := list -}}
{{- range tuple "client_secret_file" "certificate_file" "federated_token_file" "client_secret_env" -}}
{{- if get $.credential . -}}{{- $given = append $given . -}}{{- end -}}
{{- end -}}
{{- if ne (len $given) 1 -}}
{{- $faults = append $faults (printf "%s: needs exactly one of client_secret_file, client_secret_env, certificate_file, federated_token_file" .where) -}}
{{- end -}}
{{- $files := list -}}
{{- $open := false -}}
{{- range .from.secrets -}}
{{- if .items -}}
{{- range .items -}}{{- $files = append $files (printf "%s%s" $directory .path) -}}{{- end -}}
{{- else -}}
{{- $open = true -}}
{{- end -}}
{{- end -}}
{{- $isInjected := eq (get (default dict .injected) "vault.hashicorp.com/agent-inject" | toString) "true" -}}
{{- range tuple "client_secret_file" "certificate_file" "private_key_file" "certificate_password_file" -}}
{{- with get $.credential . -}}
{{- $isOurs := hasPrefix $directory . -}}
{{- $isMounted := include "rotator.isMounted" (dict "path" . "mounts" $.from.extraVolumeMounts) -}}
{{- if not (or (has . $files) (and $open $isOurs) $isMounted (and $isInjected (not $isOurs))) -}}
{{- $faults = append $faults (printf "%s: %s is not in the pod; name its Secret in %ssecrets, whose keys become files below %s, or mount it by %sextraVolumes and %sextraVolumeMounts" $.where . $.prefix $directory $.prefix $.prefix) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .credential.federated_token_file -}}
{{- $tokens := list -}}
{{- range $.from.workloadIdentity.tokens -}}{{- $tokens = append $tokens (printf "%s%s" $directory .path) -}}{{- end -}}
{{- $isMounted := include "rotator.isMounted" (dict "path" . "mounts" $.from.extraVolumeMounts) -}}
{{- if not (or $isMounted (and $.from.workloadIdentity.enabled (has . $tokens))) -}}
{{- $faults = append $faults (printf "%s: %s is not in the pod; with %sworkloadIdentity.enabled there is %s" $.where . $.prefix (join ", " $tokens)) -}}
{{- end -}}
{{- end -}}
{{- with .credential.client_secret_env -}}
{{- $variables := list -}}
{{- range $.env -}}{{- $variables = append $variables .name -}}{{- end -}}
{{- if not (has . $variables) -}}
{{- $faults = append $faults (printf "%s: %senv has no variable %s" $.where $.prefix .) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* "true" if "path" is below one of "mounts". */}}
{{- define "rotator.isMounted" -}}
{{- $found := false -}}
{{- range .mounts -}}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) $.path -}}{{- $found = true -}}{{- end -}}
{{- end -}}
{{- if $found -}}true{{- end -}}
{{- end -}}

{{/* Additional volumes that conflict with those of the chart, or with each other; of .Values or .Values.dryRun. A JSON array. */}}
{{- define "rotator.volumeFaults" -}}
{{- $faults := list -}}
{{- $names := list "config" "credentials" "ca" "kubernetes" -}}
{{- $added := list -}}
{{- range $index, $volume := .from.extraVolumes -}}
{{- if has .name $names -}}
{{- $faults = append $faults (printf "%sextraVolumes[%d].name: there is a volume %s already" $.prefix $index .name) -}}
{{- end -}}
{{- if ne (len $volume) 2 -}}
{{- $faults = append $faults (printf "%sextraVolumes[%d]: %s needs exactly one kind, such as csi" $.prefix $index .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $added = append $added .name -}}
{{- end -}}
{{- $taken := list "/etc/rotator" "/var/run/secrets/kubernetes.io/serviceaccount" -}}
{{- if include "rotator.hasCredentials" .from -}}{{- $taken = append $taken "/var/run/secrets/rotator" -}}{{- end -}}
{{- if .ca -}}{{- $taken = append $taken "/etc/rotator-ca" -}}{{- end -}}
{{- range $index, $mount := .from.extraVolumeMounts -}}
{{- if not (has .name $added) -}}
{{- $faults = append $faults (printf "%sextraVolumeMounts[%d].name: %sextraVolumes has no volume %s" $.prefix $index $.prefix .name) -}}
{{- end -}}
{{- $path := trimSuffix "/" .mountPath -}}
{{- range $taken -}}
{{- if or (eq $path .) (hasPrefix (printf "%s/" .) $path) (hasPrefix (printf "%s/" $path) .) -}}
{{- $faults = append $faults (printf "%sextraVolumeMounts[%d].mountPath: %s and %s, which is mounted already, are the same or lie in each other" $.prefix $index $mount.mountPath .) -}}
{{- end -}}
{{- end -}}
{{- $taken = append $taken $path -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/*
Values that conflict with the Deployment in the cluster. A JSON array of problems. Kubernetes refuses a changed selector only
after Service and NetworkPolicy have got theirs, and select no pod; so it is refused here, before anything is applied.
*/}}
{{- define "rotator.liveFaults" -}}
{{- $faults := list -}}
{{- range $shard, $name := include "rotator.daemons" . | fromJsonArray -}}
{{- $old := dig "spec" "selector" "matchLabels" dict (include "rotator.live" (dict "root" $ "name" $name) | fromJson) -}}
{{- $new := include "rotator.shardSelector" (dict "root" $ "shard" $shard) | fromYaml -}}
{{- if and $old (ne (toJson $old) (toJson $new)) -}}
{{- $faults = append $faults (printf "nameOverride: Deployment %s is there, and selects its pods by %s; Kubernetes refuses to change that to %s. Leave nameOverride as it was, or uninstall the release first" $name (toJson $old) (toJson $new)) -}}
{{- end -}}
{{- end -}}
{{- $name := include "rotator.daemons" . | fromJsonArray | first -}}
{{- if and (gt (int .Values.replicas) 1) (has "ROTATOR_LEADER_ELECTION__ENABLED" (include "rotator.foreignSettings" . | fromJsonArray)) -}}
{{- $faults = append $faults (printf "replicas: ROTATOR_LEADER_ELECTION__ENABLED is set in Deployment %s, and goes before config.leader_election, so %d pods could all write; scale it to 0, then kubectl set env deployment/%s ROTATOR_LEADER_ELECTION__ENABLED-" $name (int .Values.replicas) $name) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/*
Values with which several shards could write to one tenant. While their number changes, the old process of a tenant and the new
one may run side by side for a moment: settle makes the new one wait, the lease bounds the old one. A JSON array of problems.
*/}}
{{- define "rotator.shardFaults" -}}
{{- $faults := list -}}
{{- $settle := include "rotator.seconds" (default "2m" .Values.config.settle) | int -}}
{{- $lease := include "rotator.seconds" (default "60s" (default dict .Values.config.leader_election).lease_duration) | int -}}
{{- if not (include "rotator.lease" .) -}}
{{- $faults = append $faults (printf "shards: %d of them need config.leader_election.enabled: true" (int .Values.shards)) -}}
{{- else if lt $settle $lease -}}
{{- $faults = append $faults (printf "config.settle: with shards it must not be shorter than leader_election.lease_duration (%d s), here %d s" $lease $settle) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* Two Secrets, or a Secret and a token, that may have the same file; of .Values or .Values.dryRun. A JSON array of problems. */}}
{{- define "rotator.secretFaults" -}}
{{- $faults := list -}}
{{- $paths := list -}}
{{- if .from.workloadIdentity.enabled -}}
{{- range .from.workloadIdentity.tokens -}}{{- $paths = append $paths .path -}}{{- end -}}
{{- if ne (len $paths) (uniq $paths | len) -}}
{{- $faults = append $faults (printf "%s: two tokens would be one file" (replace "secrets" "workloadIdentity.tokens" .where)) -}}
{{- end -}}
{{- end -}}
{{- range $index, $secret := .from.secrets -}}
{{- $where := printf "%s[%d].items" $.where $index -}}
{{- if and (gt (len $.from.secrets) 1) (not $secret.items) -}}
{{- $faults = append $faults (printf "%s: with several Secrets, say which key of %s becomes which file; two could have keys of one name" $where $secret.name) -}}
{{- end -}}
{{- range $secret.items -}}
{{- if has .path $paths -}}
{{- $faults = append $faults (printf "%s: %s is the file of another key or token already" $where .path) -}}
{{- end -}}
{{- $paths = append $paths .path -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* Conflicts between the periods of the lease, as rotator would report them at its start. A JSON array of problems. */}}
{{- define "rotator.periodFaults" -}}
{{- $faults := list -}}
{{- $election := default dict .leader_election -}}
{{- $lease := include "rotator.seconds" (default "60s" $election.lease_duration) | int -}}
{{- $renew := include "rotator.seconds" (default "40s" $election.renew_deadline) | int -}}
{{- $retry := include "rotator.seconds" (default "10s" $election.retry_period) | int -}}
{{- $request := include "rotator.seconds" (default "30s" .request_timeout) | int -}}
{{- if ge $renew $lease -}}
{{- $faults = append $faults (printf "config.leader_election: renew_deadline (%d s) must be shorter than lease_duration (%d s): one leader ends before the next begins" $renew $lease) -}}
{{- else if ge $retry $renew -}}
{{- $faults = append $faults (printf "config.leader_election: retry_period (%d s) must be shorter than renew_deadline (%d s): a leader renews before it must end" $retry $renew) -}}
{{- else if gt $request (sub $renew $retry | int) -}}
{{- $faults = append $faults (printf "config.request_timeout: %d s must not be longer than leader_election.renew_deadline without retry_period, here %d s: a leader writes only where it is sure to lead until the request has ended" $request (sub $renew $retry)) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* Fields of a schedule with an invalid value. A JSON array of problems. */}}
{{- define "rotator.scheduleFaults" -}}
{{- $faults := list -}}
{{- if hasPrefix "@" . -}}
{{- if not (has . (list "@yearly" "@annually" "@monthly" "@weekly" "@daily" "@midnight" "@hourly")) -}}
{{- $faults = append $faults (printf "dryRun.schedule: there is no %s; @daily for example" .) -}}
{{- end -}}
{{- else -}}
{{- $kinds := list "minute" "hour" "day of the month" "month" "day of the week" -}}
{{- $values := list "[0-5]?[0-9]" "[01]?[0-9]|2[0-3]" "0?[1-9]|[12][0-9]|3[01]" "0?[1-9]|1[0-2]|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec" "[0-6]|sun|mon|tue|wed|thu|fri|sat" -}}
{{- range $index, $field := regexSplit " +" . -1 -}}
{{- $value := printf "(%s)" (index $values $index) -}}
{{- $part := printf "([*?]|%s(-%s)?)(/[1-9][0-9]*)?" $value $value -}}
{{- if not (regexMatch (printf "^%s(,%s)*$" $part $part) (lower $field)) -}}
{{- $faults = append $faults (printf "dryRun.schedule: %s is no %s; minute, hour, day of the month, month and day of the week are wanted, such as 17 5 * * *" $field (index $kinds $index)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}

{{/* Settings among the variables would override the file, from which the chart derives probes, grace period and permissions. */}}
{{- define "rotator.envFaults" -}}
{{- $faults := list -}}
{{- $names := list -}}
{{- range $index, $variable := .env -}}
{{- $where := printf "%s[%d]" $.where $index -}}
{{- if hasPrefix "ROTATOR_" (upper .name) -}}
{{- $faults = append $faults (printf "%s.name: %s would be a setting of rotator that the chart does not see; settings go into config" $where .name) -}}
{{- end -}}
{{- if has .name $names -}}
{{- $faults = append $faults (printf "%s.name: %s is there already" $where .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- if eq (hasKey . "value") (hasKey . "valueFrom") -}}
{{- $faults = append $faults (printf "%s: %s needs exactly one of value and valueFrom" $where .name) -}}
{{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end -}}
