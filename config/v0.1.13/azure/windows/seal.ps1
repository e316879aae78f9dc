# Seals the image: sysprep, with cloudbase-init's answers where cloudbase-init is installed. The machine stays on, and
# Packer stops it.
$ErrorActionPreference = 'Stop'

# sysprep must not run before Azure's agents are done with the machine.
foreach ($name in 'RdAgent', 'WindowsAzureGuestAgent') {
    while ((Get-Service $name -ErrorAction SilentlyContinue).Status -ne 'Running') { Start-Sleep -Seconds 5 }
}

# Answers of the build machine itself would come before those below.
Remove-Item -Force -ErrorAction SilentlyContinue "$env:SystemRoot\Panther\unattend.xml"

$arguments = @('/generalize', '/oobe', '/quit', '/quiet')
$answers = "$env:ProgramFiles\Cloudbase Solutions\Cloudbase-Init\conf\Unattend.xml"
if (Test-Path $answers) { $arguments += "/unattend:`"$answers`"" }
$run = Start-Process -Wait -PassThru "$env:SystemRoot\System32\Sysprep\sysprep.exe" -ArgumentList $arguments
if ($run.ExitCode -ne 0) { exit $run.ExitCode }

# sysprep goes on for a while after its process has ended.
$state = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Setup\State'
while ((Get-ItemProperty $state).ImageState -ne 'IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE') { Start-Sleep -Seconds 10 }
